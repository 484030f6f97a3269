using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace LowRank.MicroBench;

/// <summary>The backward pass of a layer's attention, to one gradient of queries, keys and values. The forward pass is
/// not timed.</summary>
public class AttentionBackwardBenchmark : IDisposable
{
    private AttentionInput input = null!;
    private Tensor along = null!, own = null!, torchs = null!;

    /// <summary>Rows and tokens, as in <see cref="AttentionForwardBenchmark"/>.</summary>
    [Params("4x256", "1x1024")]
    public string Shape { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        input = new AttentionInput(Shape);
        input.AssertAlike();
        using Tensor mixed = input.Own();
        along = MicroBenchmark.Draw(3, mixed.shape);
    }

    [IterationSetup(Target = nameof(Own))]
    public void Forward() => own = input.Own();

    [Benchmark]
    public void Own() => own.backward([along]);

    [IterationCleanup(Target = nameof(Own))]
    public void Clean()
    {
        own.Dispose();
        input.Forget();
    }

    [IterationSetup(Target = nameof(Torch))]
    public void TorchForward() => torchs = input.Torch();

    [Benchmark(Baseline = true)]
    public void Torch() => torchs.backward([along]);

    [IterationCleanup(Target = nameof(Torch))]
    public void TorchClean()
    {
        torchs.Dispose();
        input.Forget();
    }

    [GlobalCleanup]
    public void Dispose()
    {
        along?.Dispose();
        input?.Dispose();
    }
}
