using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Layers;
using LowRank.Quantization;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

/// <summary>The fast form of each operation against its plain form: values, with a graph and without, and
/// gradients.</summary>
public sealed class KernelFormTests
{
    // Of float32 sums in another order, relative to the largest number.
    private const double Tolerance = 2e-5;

    public static TheoryData<long, long, long> Shapes => new()
    {
        { 1, 1, 1 }, { 1, 7, 33 }, { 3, 33, 7 }, { 17, 100, 65 }, { 40, 64, 130 }, { 70, 129, 257 },
    };

    [Theory, MemberData(nameof(Shapes))]
    public void Linear_layers_are_alike(long rows, long inputs, long outputs)
    {
        using var scope = NewDisposeScope();
        Tensor w = Rounding.Draw(1, outputs, inputs), bias = Rounding.Draw(2, outputs),
            x = Rounding.Draw(3, rows, inputs);
        Tensor a = Rounding.Draw(4, 5, inputs), b = Rounding.Draw(5, outputs, 5), c = Rounding.Draw(6, outputs);
        Tensor kept = (Rounding.Draw(7, rows, inputs) > Number(0)).to(ScalarType.Float32) * Number(2);
        var buffer = ExpansionBuffer.ForModel();
        using PackedWeight packed = WeightFormats.Get("int8")!.Pack(w, buffer);
        foreach (IWeightMatrix weight in new IWeightMatrix[] {
            new DenseMatrix(w), new DenseMatrix(w.t().contiguous(), isTransposed: true), packed })
        {
            AssertAlike(x => LowRankLinear.Base(x[0], weight, null), x);
            AssertAlike(x => LowRankLinear.Base(x[0], weight, bias), x);
            AssertAlike(x => LowRankLinear.Base(x[0], weight, x[1]), x, bias);
            var inner = new InnerLayer(weight, bias);
            AssertAlike(x => LowRankLinear.Apply(x[0], inner, x[1], x[2], 0.75), x, a, b);
            AssertAlike(x => LowRankLinear.Apply(x[0], inner, x[1], x[2], 0.75, kept), x, a, b);
            AssertAlike(x => LowRankLinear.Apply(x[0], inner, x[1], x[2], 0.75, kept, x[3]), x, a, b, c);
        }
    }

    [Theory, MemberData(nameof(Shapes))]
    public void Norms_activations_and_sums_are_alike(long rows, long width, long more)
    {
        using var scope = NewDisposeScope();
        Tensor x = Rounding.Draw(1, rows, 2, width).Plus(0.5), up = Rounding.Draw(2, rows, 2, width);
        Tensor w = Rounding.Draw(3, width), bias = Rounding.Draw(4, width), both = Rounding.Draw(5, rows, 2 * more);
        // A single number has no gradient that is more than rounding.
        if (width > 1) AssertAlike(x => Norm.Layer(x[0], w, bias, 1e-5), x);
        if (width > 1) AssertAlike(x => Norm.Layer(x[0], null, null, 1e-5), x);
        if (width > 1) AssertAlike(x => Norm.RootMeanSquare(x[0], w, 1, 1e-6), x);
        AssertAlike(x => Residual.Add(x[0], x[1]), x, up);
        foreach (ActivationFunction function in new[] { ActivationFunction.Silu, ActivationFunction.Relu,
            ActivationFunction.Gelu, ActivationFunction.TanhGelu })
        {
            AssertAlike(x => function.Apply(x[0]), x);
            AssertAlike(x => function.Gate(x[0], x[1]), x, up);
            AssertAlike(x => function.GateHalves(x[0]), both);
        }
    }

    [Theory]
    [InlineData(1, 2, 2, 1, 7, null, 0)]
    [InlineData(2, 4, 2, 33, 16, null, 0)]
    [InlineData(2, 6, 2, 70, 40, 9, 0)]
    [InlineData(3, 4, 4, 19, 8, null, 5)]
    [InlineData(2, 4, 1, 1, 24, 6, 11)]
    public void Attention_is_alike(int rows, int heads, int shared, int length, int dimension, int? window, int past)
    {
        using var scope = NewDisposeScope();
        Tensor query = Rounding.Draw(1, rows, heads, length, dimension),
            key = Rounding.Draw(2, rows, shared, length, dimension),
            value = Rounding.Draw(3, rows, shared, length, dimension);
        Tensor cosine = Rounding.Draw(4, 1, 1, length, dimension / 2),
            sine = Rounding.Draw(5, 1, 1, length, dimension / 2);
        AssertAlike(x => Rotary.Rotate(x[0], cosine, sine), query);
        var settings = new AttentionSettings(0, window);
        Tensor tokens = zeros(rows, length, ScalarType.Int64);
        if (past == 0)
        {
            AssertAlike(x => ForwardContext.Create(tokens, null, null, null, null, null)
                .Attend(x[0], x[1], x[2], settings), query, key, value);
            AssertAlike(x => ForwardContext.CreateBothWays(tokens, null, null, null, null)
                .Attend(x[0], x[1], x[2], settings), query, key, value);
        }
        using var noGradient = no_grad();
        AssertAlike(x =>
        {
            using var cache = new KeyValueCache(1, shared, dimension, rows, past + length, CPU);
            if (past > 0)
            {
                cache.Append(0, Rounding.Draw(6, rows, shared, past, dimension),
                    Rounding.Draw(7, rows, shared, past, dimension));
                cache.Advance(past);
            }
            return ForwardContext.Create(tokens, null, null, null, cache, null).Attend(x[0], x[1], x[2], settings);
        }, query, key, value);
    }

    [Theory, InlineData(null), InlineData(4)]
    public void Attention_of_packed_sequences_and_of_one_projection_is_alike(int? window)
    {
        using var scope = NewDisposeScope();
        PackedSegment[] segments = [new(9, 1, []), new(5, 3, [0]), new(7, 1, [0]), new(2, 2, [0, 2]), new(11, 1, [])];
        int tokens = segments.Sum(segment => segment.Tokens);
        var packed = new PackedSequences(zeros(1, tokens, ScalarType.Int64), segments, 18);
        var settings = new AttentionSettings(0, window, Scale: 0.3);
        Tensor fused = Rounding.Draw(1, 1, tokens, 3 * 4 * 24), several = Rounding.Draw(2, 3, 21, 3 * 4 * 24);
        AssertAlike(x => ForwardContext.CreatePacked(packed, null, null, null, null)
            .Attend(x[0], FusedLayout.Stacked(4, 24), settings), fused);
        AssertAlike(x => ForwardContext.Create(zeros(3, 21, ScalarType.Int64), null, null, null, null, null)
            .Attend(x[0], FusedLayout.HeadByHead(4, 24), settings), several);
    }

    [Theory, MemberData(nameof(Shapes))]
    public void The_loss_of_a_head_is_alike(long rows, long width, long classes)
    {
        using var scope = NewDisposeScope();
        var head = new DenseMatrix(Rounding.Draw(1, classes, width));
        Tensor labels = Indices(0, rows) % Number(classes), bias = Rounding.Draw(3, classes);
        AssertAlike(x => HeadLoss.Sum(x[0], head, bias, labels, "head", 100), Rounding.Draw(2, rows, width));
    }

    [Fact]
    public void Steps_of_the_optimizer_and_the_norm_of_gradients_are_alike()
    {
        using var scope = NewDisposeScope();
        (float[][] Weights, double Norm) Of(bool isPlain)
        {
            using IDisposable? form = isPlain ? KernelForm.UsePlain() : null;
            Tensor[] weights = [Rounding.Draw(1, 3, 5), Rounding.Draw(2, 257), Rounding.Draw(3, 1)];
            using var optimizer = new AdamW(
                [.. weights.Select((weight, i) => KeyValuePair.Create($"{i}", weight.requires_grad_()))],
                new TrainerOptions { WeightDecay = 0.1 });
            double norm = 0;
            for (int step = 0; step < 3; step++)
            {
                for (int i = 0; i < weights.Length; i++)
                    weights[i].grad = Rounding.Draw((ulong)(9 + step), weights[i].shape);
                norm = new GradientNorm(weights).Measure();
                optimizer.Step(0.01);
            }
            return ([.. weights.Select(weight => weight.detach().data<float>().ToArray())], norm);
        }
        var (fast, plain) = (Of(isPlain: false), Of(isPlain: true));
        Assert.Equal(plain.Norm, fast.Norm, plain.Norm * 1e-6);
        for (int i = 0; i < fast.Weights.Length; i++)
            for (int k = 0; k < fast.Weights[i].Length; k++)
                Assert.Equal(plain.Weights[i][k], fast.Weights[i][k], 1e-6f);
    }

    [Fact]
    public async Task The_plain_form_is_chosen_for_one_flow_of_control()
    {
        Assert.SkipWhen(KernelForm.IsPlain, $"{KernelForm.Variable} chooses the plain form for the whole process.");
        using (KernelForm.UsePlain())
        {
            Assert.True(KernelForm.IsPlain);
            using (KernelForm.UsePlain()) Assert.True(KernelForm.IsPlain);
            Assert.True(KernelForm.IsPlain);
            Assert.True(await Task.Run(() => KernelForm.IsPlain, TestContext.Current.CancellationToken));
            bool beside = true;
            var other = new Thread(() => beside = KernelForm.IsPlain);
            other.UnsafeStart(); // without the flow's values, as a thread that was there before
            other.Join();
            Assert.False(beside);
        }
        Assert.False(KernelForm.IsPlain);
    }

    [Fact]
    public void A_backward_pass_runs_in_the_form_of_its_graph_on_any_thread()
    {
        Assert.SkipWhen(KernelForm.IsPlain, $"{KernelForm.Variable} chooses the plain form for the whole process.");
        using var scope = NewDisposeScope();
        (FormStep Step, Tensor Sum) Build()
        {
            var step = new FormStep();
            return (step, step.Apply(ones(3).requires_grad_()).sum());
        }
        var fast = Build();
        FormStep plain;
        using (KernelForm.UsePlain())
        {
            (plain, Tensor sum) = Build();
            fast.Sum.backward();
            Assert.False(fast.Step.WasPlain);
            Assert.True(KernelForm.IsPlain);
            var other = new Thread(() => sum.backward());
            other.UnsafeStart(); // as torch's own threads, which take nothing of the caller's flow
            other.Join();
        }
        Assert.True(plain.WasPlain);
        Assert.False(KernelForm.IsPlain);
    }

    [Fact]
    public void The_plain_form_leaves_the_kernels_out()
    {
        using var scope = NewDisposeScope();
        Tensor heads = Rounding.Draw(1, 1, 2, 5, 8);
        Tensor? Tiles() => Attention.TryTiles(heads, heads, heads, null, default,
            ForwardContext.Create(zeros(1, 5, ScalarType.Int64), null, null, null, null, null));
        Assert.Equal(TiledAttention.IsSupported && !KernelForm.IsPlain, Tiles() is not null);
        using IDisposable form = KernelForm.UsePlain();
        Assert.Null(Tiles());
    }

    [Fact]
    public void The_variable_knows_two_words()
    {
        Assert.False(KernelForm.Parse(null));
        Assert.False(KernelForm.Parse("fast"));
        Assert.True(KernelForm.Parse("plain"));
        Assert.Contains("expected plain or fast",
            Assert.Throws<InputException>(() => KernelForm.Parse("slow")).Message, StringComparison.Ordinal);
    }

    /// <summary>The identity, which remembers the form of its backward pass.</summary>
    private sealed class FormStep : GraphStep
    {
        public bool? WasPlain { get; private set; }

        protected override Tensor Forward(Tensor?[] inputs) => inputs[0]!.clone();

        protected override Tensor?[] Backward(Tensor gradient, IReadOnlyList<Tensor?> kept)
        {
            WasPlain = KernelForm.IsPlain;
            return [gradient.alias()];
        }
    }

    private static void AssertAlike(Func<Tensor[], Tensor> operation, params Tensor[] inputs)
    {
        (Tensor[] fast, Tensor[] plain) = (Results(operation, inputs), Evaluate());
        for (int i = 0; i < plain.Length; i++)
        {
            Assert.Equal(plain[i].shape, fast[i].shape);
            double largest = Math.Max(1e-3, plain[i].abs().max().item<float>());
            Assert.InRange((plain[i] - fast[i]).abs().max().item<float>() / largest, 0, Tolerance);
        }
        Tensor[] Evaluate()
        {
            using (KernelForm.UsePlain()) return Results(operation, inputs);
        }
    }

    // The output without a graph; where there may be one, the output with it and the inputs' gradients.
    private static Tensor[] Results(Func<Tensor[], Tensor> operation, Tensor[] inputs)
    {
        Tensor[] own = [.. inputs.Select(input => input.detach().clone())];
        Tensor alone;
        using (no_grad()) alone = operation(own);
        if (!is_grad_enabled()) return [alone];
        foreach (Tensor input in own) input.requires_grad_();
        Tensor output = operation(own);
        Tensor along = Rounding.Draw(99, output.shape);
        BackwardErrors.Run(() => output.backward([along]));
        return [alone, output.detach(), .. own.Select(input => input.grad!)];
    }
}
