using CsCheck;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Layers;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

/// <summary>Layer and root mean square normalisation with their gradients, held to the formulas in float64.</summary>
public sealed class NormTests
{
    private static readonly Gen<Drawn> Case = Gen.Select(
        Gen.Select(Gen.Int[1, 9], Gen.OneOf(Gen.Int[1, 70], Gen.Int[700, 900]), Gen.Bool, Gen.Bool),
            Gen.Select(Gen.OneOf(0.0, 1.0), Gen.Double[-3, 3], Gen.Double[-1, 1], Gen.ULong[1, 1UL << 40]),
        (sizes, rest) =>
            new Drawn(sizes.Item1, sizes.Item2, sizes.Item3, sizes.Item4, rest.Item1, Math.Pow(10, rest.Item2),
            rest.Item3, rest.Item4));

    [Fact]
    public void Rows_and_gradients_are_the_exact_ones_within_rounding() => Case.Sample(drawn =>
    {
        const double epsilon = 1e-6;
        using var scope = NewDisposeScope();
        Tensor x = ((Rounding.Draw(drawn.Seed, drawn.Rows, drawn.Width).Plus(drawn.Centre))
            * Number(drawn.Magnitude)).requires_grad_(), dy = Rounding.Draw(drawn.Seed + 1, drawn.Rows, drawn.Width);
        Tensor? w = drawn.HasWeight ? Rounding.Draw(drawn.Seed + 2, drawn.Width) : null, b = drawn.IsCentred
            ? Rounding.Draw(drawn.Seed + 3, drawn.Width) : null;
        var norm = new NormKernel(w, b, epsilon, w is null ? 0 : drawn.Offset, drawn.IsCentred);
        Tensor y = new NormStep(norm).Apply(x);
        y.backward([dy]);

        (Tensor X, Tensor D) = (Wide(x), Wide(dy));
        Tensor factor = w is null ? ones(1, ScalarType.Float64) : Wide(w).Plus(drawn.Offset), factorSize = w is null
            ? factor : Wide(w).abs().Plus(drawn.Offset), added = b is null ? zeros(1, ScalarType.Float64) : Wide(b);
        Tensor mean = drawn.IsCentred ? X.mean([-1], keepdim: true) : zeros(1, ScalarType.Float64);
        Tensor scale = rsqrt((X - mean).pow(Number(2)).mean([-1], keepdim: true).Plus(epsilon)),
            normal = (X - mean) * scale;
        // The mean is off by as many roundings of the largest size as a row is wide, at most; so is the mean of
        // squares, and its root by half of that.
        double roundings = drawn.Width / 2.0 + 12;
        Tensor ofMean = drawn.IsCentred ? X.abs().mean([-1], keepdim: true) * Number(drawn.Width + 2) * scale
            : zeros(1, ScalarType.Float64);
        // of the normalised numbers
        Tensor error =
            (normal.abs() * Number(roundings)).Plus(ofMean)
                .Plus(normal.abs() * ofMean * normal.abs().mean([-1], keepdim: true))
            * Number(Rounding.Unit);
        Rounding.AssertWithin(
            (normal * factor).Plus(added),
            (error * factorSize).Plus((normal * factor).Plus(added).abs() * Number(2) * Number(Rounding.Unit))
                .Plus(added.abs() * Number(Rounding.Unit)), y.detach());

        Tensor g = D * factor, size = D.abs() * factorSize;
        Tensor product = (g * normal).mean([-1], keepdim: true), centre = drawn.IsCentred ? g.mean([-1], keepdim: true)
            : zeros(1, ScalarType.Float64);
        Tensor sizes = size.Plus(size.mean([-1], keepdim: true)).Plus(normal.abs() * (size * normal.abs()).mean(
            [-1], keepdim: true));
        Tensor ofNormal = (error * (size * normal.abs()).mean([-1], keepdim: true))
            .Plus(normal.abs() * (size * error).mean([-1], keepdim: true));
        Tensor ofScale = ((ofMean * normal.abs()).mean([-1], keepdim: true).Plus(roundings)) * Number(Rounding.Unit);
        Rounding.AssertWithin(
            scale * (g - centre - normal * product),
            scale * ((sizes * (ofScale.Plus((drawn.Width + 8) * Rounding.Unit))).Plus(ofNormal)), x.grad!);
        using var noGradient = no_grad();
        Assert.True(norm.Value(x).equal(y).all().item<bool>());
    }, iter: 150, threads: 1);

    [Fact]
    public void Layers_take_the_kernel_s_way_and_torch_s_with_the_same_result()
    {
        using var scope = NewDisposeScope();
        Tensor x = Rounding.Draw(1, 3, 5, 48), dy = Rounding.Draw(4, 3, 5, 48);
        using var drawn = new RandomWeights(1, 3);
        foreach (bool isCentred in new[] { true, false })
        {
            var weights = new WeightLoader(drawn, CPU, ownMemory: true, "");
            INormalization norm = isCentred ? new LayerNorm(weights, "norm", 48, 1e-5)
                : new RmsNorm(weights, "norm", 48, 1e-5, offset: 1);
            foreach (Tensor parameter in weights.Parameters.Values) parameter.copy_(Rounding.Draw(2, 48));
            Tensor w = weights.Parameters["norm.weight"];
            (Tensor Y, Tensor Dx) Of(bool trains)
            {
                w.requires_grad_(trains);
                Tensor input = x.clone().requires_grad_(), output = norm.Forward(input);
                output.backward([dy]);
                Assert.Equal(trains, w.grad is not null);
                w.grad = null;
                return (output.detach(), input.grad!);
            }
            (Tensor y, Tensor dx) = Of(trains: false);
            (Tensor torchY, Tensor torchDx) = Of(trains: true); // a weight that is trained needs a gradient of its own
            Assert.True(y.allclose(torchY, rtol: 1e-5, atol: 1e-6) && dx.allclose(torchDx, rtol: 1e-5, atol: 1e-6));
            w.requires_grad_(false);
            Assert.Equal([8, 48], norm.Forward(x.view(15, 48).narrow(0, 0, 8)).shape);
            Assert.Equal([0, 48], norm.Forward(zeros(0, 48)).shape);
            Assert.Equal([2, 48], norm.Forward(zeros(48, 2).t()).shape);
        }
    }

    [Fact]
    public void A_row_is_computed_alike_whatever_surrounds_it()
    {
        using var scope = NewDisposeScope();
        var norm = new NormKernel(Rounding.Draw(1, 771), Rounding.Draw(2, 771), 1e-5, 0, isCentred: true);
        Tensor x = Rounding.Draw(3, 200, 771), dy = Rounding.Draw(4, 200, 771);
        int threads = get_num_threads();
        set_num_threads(2);
        Tensor y = norm.Value(x), dx = norm.Back(x, dy);
        set_num_threads(1);
        Assert.True(y.equal(norm.Value(x)).all().item<bool>() && dx.equal(norm.Back(x, dy)).all().item<bool>());
        set_num_threads(threads);
        Assert.True(y[117].equal(norm.Value(x[117])).all().item<bool>()
            && dx[117].equal(norm.Back(x[117], dy[117])).all().item<bool>());
    }

    private static Tensor Wide(Tensor tensor) => tensor.detach().to(ScalarType.Float64);

    private sealed record Drawn(
        int Rows, int Width, bool IsCentred, bool HasWeight, double Offset, double Magnitude,
        double Centre, ulong Seed);
}
