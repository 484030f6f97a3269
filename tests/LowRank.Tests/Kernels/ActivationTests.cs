using CsCheck;
using LowRank.Kernels;
using LowRank.Models.Layers;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

/// <summary>Activation functions, gates and their gradients, held to the formulas in float64.</summary>
public sealed class ActivationTests
{
    // A smaller e^x is no normal number in float32, and may count as 0.
    private static readonly double SmallestExponential = Math.Pow(2, -126);

    private static readonly Gen<(string Name, long[] Shape, double Magnitude, ulong Seed)> Case = Gen.Select(
        Gen.OneOf("silu", "relu", "gelu", "gelu_new"), Gen.OneOf(Gen.Int[1, 40], Gen.Int[4000, 9000]), Gen.Int[1, 7],
            Gen.Double[-4, 2.2], Gen.ULong[1, 1UL << 40],
        (name, width, rows, magnitude, seed) => (name, new long[] { rows, width }, Math.Pow(10, magnitude), seed));

    [Fact]
    public void Values_and_gradients_are_the_exact_ones_within_rounding() => Case.Sample(drawn =>
    {
        using var scope = NewDisposeScope();
        Tensor x = (Rounding.Draw(drawn.Seed, drawn.Shape) * Number(drawn.Magnitude)).requires_grad_(),
            dy = Rounding.Draw(drawn.Seed + 1, drawn.Shape);
        Exact exact = Exact.Of(drawn.Name, x);
        Tensor y = Activation.Get(drawn.Name)(x);
        y.backward([dy]);
        exact.AssertValue(ones_like(exact.Value), y.detach());
        exact.AssertSlope(Wide(dy), x.grad!);
        using var noGradient = no_grad();
        Assert.True(Activation.Get(drawn.Name)(x).equal(y).all().item<bool>());
    }, iter: 200, threads: 1);

    [Fact]
    public void Gates_and_their_gradients_are_the_exact_ones_within_rounding() =>
        Gen.Select(Case, Gen.Bool, Gen.Bool).Sample((drawn, halves, onlyUp) =>
    {
        using var scope = NewDisposeScope();
        Tensor g = Rounding.Draw(drawn.Seed, drawn.Shape) * Number(drawn.Magnitude),
            u = Rounding.Draw(drawn.Seed + 1, drawn.Shape), dy = Rounding.Draw(drawn.Seed + 2, drawn.Shape);
        ActivationFunction function = Activation.Find(drawn.Name);
        Exact exact = Exact.Of(drawn.Name, g);
        (Tensor y, Tensor? dg, Tensor du) = halves ? OfHalves(function, g, u, dy) : OfTwo(function, g, u, dy, onlyUp);
        exact.AssertValue(Wide(u), y);
        exact.AssertValue(Wide(dy), du);
        if (dg is not null) exact.AssertSlope(Wide(dy) * Wide(u), dg);
    }, iter: 200, threads: 1);

    [Theory]
    [InlineData("silu")]
    [InlineData("relu")]
    [InlineData("gelu")]
    [InlineData("gelu_new")]
    public void What_is_no_number_stays_none_and_the_ends_are_torch_s(string name)
    {
        using var scope = NewDisposeScope();
        Tensor x = tensor(
            new[] { float.NaN, float.PositiveInfinity, 1e15f, 1e10f, -1e10f, -200f, 0f, -0f }).requires_grad_();
        Tensor y = Activation.Get(name)(x);
        y.backward([ones_like(x)]);
        Assert.True(y[0].isnan().item<bool>() && y[1].item<float>() == float.PositiveInfinity);
        Assert.Equal([1e15f, 1e10f, 0, 0, 0, 0], y.narrow(0, 2, 6).data<float>().ToArray());
        float half = name == "relu" ? 0 : 0.5f;
        Assert.Equal([1, 1, 0, 0, half, half], x.grad!.narrow(0, 2, 6).data<float>().ToArray());
    }

    // torch's rule: where relu is 0 nothing passes, however large.
    [Fact]
    public void A_gradient_that_is_infinite_does_not_pass_where_relu_is_0()
    {
        using var scope = NewDisposeScope();
        Tensor x = tensor(new[] { -1f, 1f }).requires_grad_();
        Activation.Get("relu")(x).backward([full(2, Number(float.PositiveInfinity))]);
        Assert.Equal([0, float.PositiveInfinity], x.grad!.data<float>().ToArray());
    }

    [Fact]
    public void A_place_is_computed_alike_whatever_surrounds_it()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor x = Rounding.Draw(7, 50, 4099);
        int threads = get_num_threads();
        foreach (string name in new[] { "silu", "relu", "gelu", "gelu_new" })
        {
            set_num_threads(2);
            Tensor together = Activation.Get(name)(x),
                shifted = Activation.Get(name)(x.view(-1).narrow(0, 3, 40000).contiguous());
            Tensor gaps = Activation.Get(name)(Rounding.WithGaps(x));
            set_num_threads(1);
            Tensor alone = Activation.Get(name)(x);
            set_num_threads(threads);
            Assert.True(together.equal(alone).all().item<bool>() && together.equal(gaps).all().item<bool>());
            Assert.True(together.view(-1).narrow(0, 3, 40000).equal(shifted).all().item<bool>());
        }
    }

    [Fact]
    public void Other_types_and_shapes_are_torch_s()
    {
        using var scope = NewDisposeScope();
        Tensor x = Rounding.Draw(1, 6, 8), wide = Wide(x);
        Assert.Equal(ScalarType.Float64, Activation.Get("gelu")(wide).dtype);
        Assert.Equal([8, 6], Activation.Get("silu")(x.t()).shape);
        Assert.Equal([6, 8], Activation.Find("silu").Gate(x, x.narrow(1, 0, 1)).shape); // u for the whole row
        Assert.Equal([0, 8], Activation.Get("relu")(zeros(0, 8)).shape);
        Assert.Empty(Activation.Get("relu")(tensor(1f)).shape);
    }

    private static Tensor Wide(Tensor tensor) => tensor.detach().to(ScalarType.Float64);

    private static (Tensor Y, Tensor? Dg, Tensor Du) OfTwo(
        ActivationFunction function, Tensor g, Tensor u, Tensor dy, bool onlyUp)
    {
        Tensor gate = g.clone(), up = u.clone().requires_grad_();
        if (!onlyUp) gate.requires_grad_();
        Tensor y = function.Gate(gate, up);
        y.backward([dy]);
        return (y.detach(), gate.grad, up.grad!);
    }

    private static (Tensor Y, Tensor Dg, Tensor Du) OfHalves(ActivationFunction function, Tensor g, Tensor u, Tensor dy)
    {
        Tensor both = cat([g, u], -1).requires_grad_();
        Tensor y = function.GateHalves(both);
        y.backward([dy]);
        long half = g.shape[^1];
        return (y.detach(), both.grad!.narrow(-1, 0, half), both.grad!.narrow(-1, half, half));
    }

    /// <summary>f(x), f′(x), the sizes of what f′ is summed from, how far off a computation in float32 may be as a
    /// share of them, and what the exponential is multiplied by in f and f′.</summary>
    private sealed record Exact(
        Tensor Value, Tensor Slope, Tensor SlopeSize, Tensor Error, Tensor ValueFactor, Tensor SlopeFactor)
    {
        /// <summary>Holds f(x)·<paramref name="factor"/> to the exact one.</summary>
        public void AssertValue(Tensor factor, Tensor found) =>
            AssertProduct(Value, Value.abs(), ValueFactor, factor, found);

        /// <summary>Holds f′(x)·<paramref name="factor"/> to the exact one.</summary>
        public void AssertSlope(Tensor factor, Tensor found) =>
            AssertProduct(Slope, SlopeSize, SlopeFactor, factor, found);

        private void AssertProduct(Tensor exact, Tensor size, Tensor ofExponential, Tensor factor, Tensor found) =>
            Rounding.AssertWithin(exact * factor,
                ((size * Error).Plus(ofExponential.abs() * Number(SmallestExponential)) * factor.abs())
                .Plus(float.Epsilon), found);

        public static Exact Of(string name, Tensor input)
        {
            Tensor x = Wide(input);
            return name switch
            {
                "relu" => new(x.clamp_min(Number(0)), (x > Number(0)).to(ScalarType.Float64), ones_like(x),
                    full_like(x, Number(2 * Rounding.Unit)), zeros_like(x), zeros_like(x)),
                "silu" => Sigmoid(x, x, ones_like(x)),
                "gelu" => Normal(x),
                _ => Sigmoid(x, Number(Math.Sqrt(8 / Math.PI)) * (x.Plus(Number(0.044715) * x.pow(Number(3)))),
                Number(Math.Sqrt(8 / Math.PI)) * ((Number(3 * 0.044715) * x.pow(Number(2))).Plus(1))),
            };
        }

        // x·σ(v): v is off by a few roundings, and e^−|v| by |v| times as much as a share of it.
        private static Exact Sigmoid(Tensor x, Tensor v, Tensor slopeOfV)
        {
            Tensor share = v.sigmoid(), rest = (-v).sigmoid(), second = x * share * rest * slopeOfV;
            return new(x * share, share.Plus(second), share.Plus(second.abs()),
                (Number(4) * v.abs()).Plus(16) * Number(Rounding.Unit),
                x, (x * slopeOfV).abs().Plus(1));
        }

        // x·Φ(x): the density's exponent x²/2 is off by two roundings.
        private static Exact Normal(Tensor x)
        {
            Tensor below = Number(0.5) * special.erfc(-x / Number(Math.Sqrt(2))),
                second = x * (Number(-0.5) * x.pow(Number(2))).exp() / Number(Math.Sqrt(2 * Math.PI));
            return new(x * below, below.Plus(second), below.Plus(second.abs()),
                x.pow(Number(2)).Plus(16) * Number(Rounding.Unit),
                x, x.abs().Plus(1));
        }
    }
}
