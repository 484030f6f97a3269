using BenchmarkDotNet.Attributes;
using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.MicroBench;

/// <summary>GPT-2's output head with cross-entropy, and the gradient of its input states.</summary>
public class HeadLossBenchmark : IDisposable
{
    private const int Width = 768, Words = 50_257;
    private Tensor states = null!, weight = null!, labels = null!;
    private DenseMatrix head = null!;

    /// <summary>Number of positions with a label.</summary>
    [Params(256)]
    public int Rows { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        MicroBenchmark.PrepareThreads();
        states = MicroBenchmark.Draw(1, Rows, Width).requires_grad_();
        weight = MicroBenchmark.Draw(2, Words, Width).mul_(0.02);
        labels = randint(Words, [Rows], ScalarType.Int64, generator: new Generator(3));
        head = new DenseMatrix(weight);
        using var scope = NewDisposeScope();
        Own();
        Tensor gradient = states.grad!.clone();
        states.grad!.zero_();
        Torch();
        MicroBenchmark.AssertAlike(gradient, states.grad, 1e-4);
    }

    [Benchmark]
    public void Own()
    {
        using var scope = NewDisposeScope();
        HeadLoss.Sum(states, head, null, labels, "head").backward();
    }

    [Benchmark(Baseline = true)]
    public void Torch()
    {
        using var scope = NewDisposeScope();
        nn.functional.cross_entropy(
            nn.functional.linear(states, weight), labels, reduction: nn.Reduction.Sum).backward();
    }

    [GlobalCleanup]
    public void Dispose()
    {
        foreach (Tensor tensor in new[] { states, weight, labels }) tensor?.Dispose();
    }
}
