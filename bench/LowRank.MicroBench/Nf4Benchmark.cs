using BenchmarkDotNet.Attributes;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.MicroBench;

/// <summary>A weight of 3072 x 768 expanded from NF4, as a layer does before it multiplies.</summary>
public class Nf4Benchmark : IDisposable
{
    private const int Out = 3072, In = 768;
    private readonly ExpansionBuffer buffer = new();
    private PackedWeight packed = null!;
    private Tensor codes = null!, levels = null!, scales = null!;

    [GlobalSetup]
    public void Setup()
    {
        MicroBenchmark.PrepareThreads();
        using var scope = NewDisposeScope();
        packed = WeightFormats.Get("nf4")!.Pack(MicroBenchmark.Draw(1, Out, In), buffer);
        codes = packed.Stored("w", "float32").Single(stored => stored.Key == "w").Value.view(-1).clone()
            .MoveToOuterDisposeScope();
        levels = tensor(Nf4.Table).MoveToOuterDisposeScope();
        Tensor expanded = packed.Expand();
        // A block's largest level is 1 or -1, so its largest number is its scale.
        scales = expanded.view(-1, Nf4.BlockSize).abs().amax([1], keepdim: true).MoveToOuterDisposeScope();
        MicroBenchmark.AssertAlike(expanded, Expanded(), 1e-6);
    }

    [Benchmark]
    public void Own()
    {
        using var scope = NewDisposeScope();
        packed.Expand();
    }

    [Benchmark(Baseline = true)]
    public void Torch()
    {
        using var scope = NewDisposeScope();
        Expanded();
    }

    [GlobalCleanup]
    public void Dispose()
    {
        packed?.Dispose();
        buffer.Dispose();
        foreach (Tensor tensor in new[] { codes, levels, scales }) tensor?.Dispose();
    }

    // The high half comes first. The scales are not quantised again, which favours torch.
    private Tensor Expanded()
    {
        Tensor both = stack([codes.bitwise_right_shift(tensor((byte)4)), codes.bitwise_and(tensor((byte)15))], 1).view(
            -1).to(ScalarType.Int32);
        return levels.index_select(0, both).view(-1, Nf4.BlockSize).mul(scales).view(Out, In);
    }
}
