using CsCheck;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Layers;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

public sealed class StepAttentionTests
{
    private static readonly Gen<Case> Cases = Gen.Select(
        Gen.Select(Gen.Int[1, 4], Gen.Int[1, 3], Gen.Int[1, 3], Gen.Int[1, 70]),
        Gen.Select(Gen.Int[0, 150], Gen.Int[0, 9], Gen.Int[0, 40], Gen.Int[0, 40]),
        Gen.Select(Gen.Bool, Gen.OneOf(0.0, 0.3), Gen.OneOf(0.0, 2.0), Gen.ULong[1, 1UL << 40]),
        (sizes, lengths, rest) =>
        new Case(sizes.Item1, sizes.Item2, sizes.Item3, sizes.Item4, lengths.Item1, lengths.Item2, lengths.Item3,
        lengths.Item4, rest.Item1, rest.Item2, rest.Item3, rest.Item4));

    [Fact]
    public void Any_step_attends_as_torch_does() => Cases.Sample(drawn =>
    {
        using var scope = NewDisposeScope();
        using var step = new Pass(drawn);
        using var ordinary = new Pass(drawn);
        var settings = new AttentionSettings(0, drawn.Window == 0 ? null : drawn.Window, drawn.Scale == 0 ? null
            : drawn.Scale, drawn.Softcap == 0 ? null : drawn.Softcap);
        // autograd is on
        Assert.Null(
            Step(ordinary, settings));
        Tensor expected =
            ordinary.Context.Attend(ordinary.Query, ordinary.Key, ordinary.Value, settings);
        using var noGradient = no_grad();
        Tensor? found = Step(step, settings);
        Assert.NotNull(found);
        // A score is a sum of d products: off by (d + 4)·u times the absolute ones, and a weight by that relative to
        // itself. Sums over the weights add n roundings, exp and tanh some of their own. Twice, for both are rounded.
        double size = step.Query.abs().max().item<float>() * step.LargestKey * drawn.Dimension * (
            settings.Scale ?? 1 / Math.Sqrt(drawn.Dimension));
        double weight = Math.Exp(4 * (drawn.Dimension + 16) * Rounding.Unit * size) - 1
            + 4 * (drawn.Past + 64) * Rounding.Unit;
        Rounding.AssertWithin(
            expected.to(ScalarType.Float64), full([1], Number(2 * weight * step.LargestValue), ScalarType.Float64),
            found);
        // The new position is in the cache, as torch puts it there.
        Assert.Equal(Copy(ordinary.Cache.Layer(0).Keys), Copy(step.Cache.Layer(0).Keys));
        Assert.Equal(Copy(ordinary.Cache.Layer(0).Values), Copy(step.Cache.Layer(0).Values));
        Assert.Equal(Copy(found),
            Copy(step.Context.Attend(step.Query, step.Key, step.Value, settings)));
    }, iter: 100, threads: 1);

    [Fact]
    public void What_torch_must_compute_is_left_to_it()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var drawn = new Case(2, 2, 2, 8, 5, 0, 3, 0, false, 0, 0, 1);
        using var pass = new Pass(drawn);
        var settings = new AttentionSettings(0);
        Assert.NotNull(Step(pass, settings));
        Tensor two = zeros(2, 2, 2, 8);
        using var several = new Pass(drawn, added: 2);
        Assert.Null(Step(several, settings, zeros(2, 4, 2, 8), two, two));
        using var right = new Pass(drawn, right: true);
        Assert.Null(Step(right, settings));
        using var generator = new Generator(1);
        using var dropping = new Pass(drawn, dropout: generator);
        Assert.Null(Step(dropping, settings with { Dropout = 0.1 }));
        Assert.Null(Step(pass, settings, key: pass.Key.narrow(0, 0, 1), value: pass.Value.narrow(0, 0, 1)));
        Assert.Null(Step(pass, settings, value: pass.Value.narrow(-1, 0, 4)));
        using var full = new KeyValueCache(1, 2, 8, 2, 0, CPU);
        Assert.Null(StepAttention.TryAttend(
            pass.Query, pass.Key, pass.Value, full.Layer(0), 0, settings.Rule(null),
            ForwardContext.Create(zeros(2, 1), null, null, null, full, null)));
    }

    private static Tensor? Step(
        Pass pass, AttentionSettings settings, Tensor? query = null, Tensor? key = null, Tensor? value = null) =>
        StepAttention.TryAttend(query ?? pass.Query, key ?? pass.Key, value ?? pass.Value, pass.Cache.Layer(0),
            pass.Cache.Length, settings.Rule(pass.Context.Dropout), pass.Context);

    private static float[] Copy(Tensor tensor) => tensor.contiguous().data<float>().ToArray();

    private sealed record Case(int Rows, int KeyValueHeads, int Groups, int Dimension, int Past, int Room, int Padding,
        int Window, bool Folded, double Scale, double Softcap, ulong Seed);

    // A cache with random positions and the next one's query, key and value.
    private sealed class Pass : IDisposable
    {
        public Pass(Case drawn, int added = 1, bool right = false, Generator? dropout = null)
        {
            (int rows, int heads, int dimension, int past) =
                (drawn.Rows, drawn.KeyValueHeads, drawn.Dimension, drawn.Past);
            Cache = new KeyValueCache(1, heads, dimension, rows, past + added + drawn.Room, CPU);
            if (past > 0)
            {
                // The first row has the most padding, the last none.
                Tensor mask = ones(rows, past, ScalarType.Int64);
                for (int row = 0; row + 1 < rows; row++)
                {
                    int padding = Math.Min(past - 1, drawn.Padding / (row + 1));
                    if (padding > 0) mask[row].narrow(0, right ? past - padding : 0, padding).zero_();
                }
                ForwardContext.Create(zeros(rows, past), mask, null, null, Cache, null);
                Cache.Append(0, Rounding.Draw(drawn.Seed, rows, heads, past, dimension),
                    Rounding.Draw(drawn.Seed + 1, rows, heads, past, dimension));
                Cache.Advance(past);
            }
            // As a projection gives them, heads beside each other, or a slice of a fused one.
            Tensor New(ulong seed, int count) => drawn.Folded
                ? Rounding.WithGaps(Rounding.Draw(seed, rows, 1, count * dimension)).view(
                    rows, 1, count, dimension).transpose(1, 2)
                : Rounding.Draw(seed, rows, count, 1, dimension);
            (Query, Key, Value) =
                (New(drawn.Seed + 2, heads * drawn.Groups), New(drawn.Seed + 3, heads), New(drawn.Seed + 4, heads));
            Context = ForwardContext.Create(zeros(rows, added), null, null, null, Cache, dropout);
            double Largest(Tensor cached, Tensor added) =>
                Math.Max(cached.abs().max().item<float>(), added.abs().max().item<float>());
            (LargestKey, LargestValue) = (Largest(Cache.Layer(0).Keys, Key), Largest(Cache.Layer(0).Values, Value));
        }

        public KeyValueCache Cache { get; }

        public Tensor Query { get; }

        public Tensor Key { get; }

        public Tensor Value { get; }

        public ForwardContext Context { get; }

        public double LargestKey { get; }

        public double LargestValue { get; }

        public void Dispose() => Cache.Dispose();
    }
}
