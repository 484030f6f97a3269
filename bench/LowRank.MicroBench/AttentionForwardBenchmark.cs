using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace LowRank.MicroBench;

/// <summary>The forward pass of a layer's attention, which keeps what the backward pass needs.</summary>
public class AttentionForwardBenchmark : IDisposable
{
    private AttentionInput input = null!;

    /// <summary>Rows and tokens: those of a usual step, and longer ones.</summary>
    [Params("4x256", "1x1024")]
    public string Shape { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        input = new AttentionInput(Shape);
        input.AssertAlike();
    }

    [Benchmark]
    public void Own() => input.Own().Dispose();

    [Benchmark(Baseline = true)]
    public void Torch() => input.Torch().Dispose();

    [GlobalCleanup]
    public void Dispose() => input?.Dispose();
}
