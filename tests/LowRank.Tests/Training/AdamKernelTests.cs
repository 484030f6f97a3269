using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LowRank.Kernels;
using LowRank.Tests.Kernels;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Training;

/// <summary>The optimizer's pass over memory against torch's own operations.</summary>
public sealed unsafe class AdamKernelTests
{
    private static readonly long[][] Shapes = [[1], [7], [8, 5], [16], [33], [3, 4, 5], [129, 65], [16384], [40000]];

    [Theory]
    [InlineData(0.9, 0.999, 1e-8, 0.0)]
    [InlineData(0.9, 0.95, 1e-6, 0.1)]
    [InlineData(0.3, 0.7, 1e-3, 0.5)]
    public void Gives_what_torchs_operations_give(double beta1, double beta2, double epsilon, double decay)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using var random = new Generator().manual_seed(3);
        Tensor[] fused = [.. Shapes.Select(shape => randn(shape, generator: random))],
            plain = [.. fused.Select(weight => weight.clone())];
        Tensor[] means = [.. fused.Select(weight => zeros_like(weight))],
            squares = [.. fused.Select(weight => zeros_like(weight))];
        Tensor[] ofTorch = [.. fused.Select(weight => weight.clone())],
            torchMeans = [.. fused.Select(weight => zeros_like(weight))],
            torchSquares = [.. fused.Select(weight => zeros_like(weight))];
        using var optimizer =
            new AdamW(Named(fused),
            new TrainerOptions { Beta1 = beta1, Beta2 = beta2, Epsilon = epsilon, WeightDecay = decay });
        for (int step = 1; step <= 6; step++)
        {
            double rate = 1e-2 / step, scale = step % 2 == 0 ? 0.37 : 1;
            for (int i = 0; i < fused.Length; i++)
            {
                // Some numbers have no gradient, as rows of tokens that do not occur; a weight has none at all now and
                // then.
                fused[i].grad = i == step ? null
                    : randn(Shapes[i], generator: random).mul_(Number(Math.Pow(10, i - 5))).mul_(
                        rand(Shapes[i], generator: random) > Number(0.2));
                if (fused[i].grad is not { } gradient) continue;
                var constants =
                    new AdamConstants(
                        (float)scale, (float)(1 - Factor(i) * rate * decay), (float)(1 - beta1), (float)beta2,
                    (float)(1 - beta2), (float)Math.Sqrt(1 - Math.Pow(beta2, step)), (float)epsilon,
                        (float)(-(Factor(i) * rate) / (1 - Math.Pow(beta1, step))));
                WithExactRoot(plain[i], gradient, means[i], squares[i], constants);
                AdamStep.Plain(ofTorch[i], gradient, torchMeans[i], torchSquares[i], constants);
            }
            optimizer.Step(rate, name => Factor(int.Parse(name)), scale);
        }
        IReadOnlyList<KeyValuePair<string, Tensor>> state = optimizer.State();
        for (int i = 0; i < fused.Length; i++)
        {
            Same(plain[i], fused[i]);
            Same(means[i], state[2 * i].Value);
            Same(squares[i], state[2 * i + 1].Value);
            Assert.All(Values(ofTorch[i]).Zip(Values(fused[i])),
                pair => Assert.Equal(pair.First, pair.Second, 3e-7f + 1e-6f * Math.Abs(pair.First)));
        }
    }

    // The definition (arXiv 1711.05101, algorithm 2, no schedule in it) in float64. Sixty steps of float32 round a
    // weight of size 4 by 0.12e-6 each: 7e-6 in all at the very worst; without the correction of a moment the first
    // step alone errs by 1e-2.
    [Fact]
    public void Follows_AdamW_computed_in_float64()
    {
        const double Rate = 1e-2, Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1e-8, Decay = 0.1, Tolerance = 8e-6;
        var random = new Random(11);
        double[] weight = [.. Enumerable.Range(0, 1001).Select(_ => (double)(float)(4 * random.NextDouble() - 2))],
            mean = new double[weight.Length], square = new double[weight.Length];
        using var scope = NewDisposeScope();
        Tensor fused = tensor(weight, ScalarType.Float32);
        using var optimizer =
            new AdamW(Named([fused]),
            new TrainerOptions { Beta1 = Beta1, Beta2 = Beta2, Epsilon = Epsilon, WeightDecay = Decay });
        for (int step = 1; step <= 60; step++)
        {
            float[] gradient = [.. weight.Select(_ => (float)(random.NextDouble() - 0.4))];
            fused.grad = tensor(gradient);
            optimizer.Step(Rate);
            for (int i = 0; i < weight.Length; i++)
            {
                mean[i] = Beta1 * mean[i] + (1 - Beta1) * gradient[i];
                square[i] = Beta2 * square[i] + (1 - Beta2) * gradient[i] * gradient[i];
                double corrected = mean[i] / (1 - Math.Pow(Beta1, step)),
                    root = Math.Sqrt(square[i] / (1 - Math.Pow(Beta2, step)));
                weight[i] = (1 - Rate * Decay) * weight[i] - Rate * corrected / (root + Epsilon);
            }
            Assert.All(weight.Zip(Values(fused)), pair => Assert.Equal(pair.First, pair.Second, Tolerance));
        }
    }

    [Fact]
    public void A_gradient_scaled_as_it_is_read_counts_as_one_that_was_clipped_before()
    {
        using var scope = NewDisposeScope();
        Tensor[] clipped = [randn(300, 7).mul_(Number(5)), randn(11)],
            read = [.. clipped.Select(weight => weight.clone())];
        Tensor[] gradients = [randn(300, 7), randn(11)];
        using AdamW first = new(Named(clipped), new TrainerOptions()),
            second = new(Named(read), new TrainerOptions());
        for (int step = 0; step < 3; step++)
        {
            for (int i = 0; i < 2; i++) (clipped[i].grad, read[i].grad) = (gradients[i].clone(), gradients[i].clone());
            double norm = GradientClipping.Apply(clipped, 0.5);
            Assert.InRange(norm, 40, 55);
            Assert.Equal(0.5, new GradientNorm(clipped).Measure(), 1e-6);
            first.Step(0.1);
            second.Step(0.1, gradientScale: GradientClipping.Factor(norm, 0.5));
            for (int i = 0; i < 2; i++)
            {
                Assert.Equal(Values(clipped[i]), Values(read[i]));
                Assert.Equal(Values(gradients[i]), Values(read[i].grad!));
            }
        }
    }

    [Fact]
    public void Widths_and_threads_give_the_same_bytes()
    {
        var random = new Random(5);
        var step = new AdamConstants(0.5f, 0.999f, 0.1f, 0.999f, 0.001f, 0.7f, 1e-8f, -0.01f);
        const int Count = 3 * WeightBlocks.Size + 48;
        float[][] start =
            [.. Enumerable.Range(0, 4)
            .Select(part => Enumerable.Range(0, Count)
            .Select(_ => random.NextSingle() - (part == 3 ? 0 : 0.5f)).ToArray())];
        float[][] Run(Action<nint, nint, nint, nint> update)
        {
            float[][] memory = [.. start.Select(part => (float[])part.Clone())];
            fixed (float* weight = memory[0], gradient = memory[1], mean = memory[2], square = memory[3])
                update((nint)weight, (nint)gradient, (nint)mean, (nint)square);
            return memory;
        }
        float[][] scalar =
            Run((w, g, m, v) => AdamKernel.Scalar((float*)w, (float*)g, (float*)m, (float*)v, Count, step));
        Assert.NotEqual(start[0], scalar[0]);
        Assert.Equal(start[1], scalar[1]);
        Assert.Equal(scalar,
            Run((w, g, m, v) =>
            Assert.Equal(Count, AdamKernel.Vectors<Wide256, Vector256<float>>(
                (float*)w, (float*)g, (float*)m, (float*)v, Count, step))));
        Assert.Equal(scalar,
            Run((w, g, m, v) =>
            Assert.Equal(Count, AdamKernel.Vectors<Wide512, Vector512<float>>(
                (float*)w, (float*)g, (float*)m, (float*)v, Count, step))));
        using Tensor shape = empty(Count);
        for (int threads = 1; threads <= 5; threads += 2)
            Assert.Equal(scalar,
                Run((w, g, m, v) =>
                With(threads, () =>
                    AdamStep.Fast(new WeightBlocks([shape]), [new AdamMemory(w, g, m, v)], [step]))));
    }

    [Fact]
    public void The_norm_is_the_same_for_any_number_of_threads_and_exact()
    {
        using var scope = NewDisposeScope();
        Tensor values = randn(5 * WeightBlocks.Size + 11);
        var blocks = new WeightBlocks([values]);
        double Sum(int threads)
        {
            var sums = new double[blocks.Count];
            fixed (float* start = values.data<float>().ToArray())
                With(threads, new SquareWork(blocks, [(nint)start], sums).Run);
            return sums.Sum();
        }
        double expected = values.to(ScalarType.Float64).pow(Number(2)).sum().item<double>();
        Assert.Equal(expected, Sum(1), expected * 1e-13);
        Assert.Equal(Sum(1), Sum(4));
    }

    [Fact]
    public void A_gradient_that_lies_otherwise_in_memory_counts_as_what_it_is()
    {
        using var scope = NewDisposeScope();
        Tensor weight = zeros(2, 3).requires_grad_(), gradient = Indices(0, 6, type: ScalarType.Float32).view(3, 2);
        weight.grad = gradient.t();
        Assert.False(weight.grad!.is_contiguous());
        using var optimizer = new AdamW(Named([weight]), new TrainerOptions());
        Assert.Equal(Math.Sqrt(55), GradientClipping.Apply([weight], 0), 1e-12);
        optimizer.Step(0.1);
        Assert.Equal([0f, 0.2f, 0.4f, 0.1f, 0.3f, 0.5f], optimizer.State()[0].Value.data<float>().ToArray(),
            (a, b) => Math.Abs(a - b) < 1e-6);
    }

    [Fact]
    public void A_weight_that_stands_there_twice_takes_both_steps()
    {
        using var scope = NewDisposeScope();
        Tensor weight = zeros(40000).requires_grad_();
        weight.grad = ones(40000);
        using var optimizer = new AdamW(Named([weight, weight]), new TrainerOptions());
        optimizer.Step(0.1);
        Assert.All(weight.data<float>().ToArray(), value => Assert.Equal(-0.2f, value, 1e-6f));
    }

    // AdamStep.Plain, but for the root: torch takes it from a library that errs in the last bit.
    private static void WithExactRoot(Tensor weight, Tensor gradient, Tensor mean, Tensor square, AdamConstants step)
    {
        gradient = gradient * Number(step.Scale);
        weight.mul_(Number(step.Decay));
        mean.lerp_(gradient, tensor(step.Fraction));
        square.mul_(Number(step.Beta2)).addcmul_(gradient, gradient, Number(step.Rest));
        weight.addcdiv_(
            mean,
            square.to(ScalarType.Float64).sqrt().to(ScalarType.Float32).div_(Number(step.Root))
                .add_(Number(step.Epsilon), Number(1)),
            Number(step.StepSize));
    }

    private static void With(int threads, Action work)
    {
        int before = get_num_threads();
        set_num_threads(threads);
        try
        {
            work();
        }
        finally
        {
            set_num_threads(before);
        }
    }

    private static float[] Values(Tensor tensor) => tensor.view(-1).data<float>().ToArray();

    private static double Factor(int weight) => weight % 3 == 0 ? 16 : 1;

    private static KeyValuePair<string, Tensor>[] Named(Tensor[] weights) =>
        [.. weights.Select((weight, i) => KeyValuePair.Create(i.ToString(), weight))];

    // torch's vector code fuses the multiply-adds of lerp_ and addcmul_ where the processor can: there the bytes are
    // equal.
    private static void Same(Tensor expected, Tensor found)
    {
        float[] want = Values(expected), have = Values(found);
        if (Fma.IsSupported) Assert.Equal(want, have);
        else
            Assert.All(want.Zip(have),
                pair => Assert.Equal(pair.First, pair.Second, 1e-6f + 1e-6f * Math.Abs(pair.First)));
    }
}
