using BenchmarkDotNet.Attributes;
using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.MicroBench;

/// <summary>The product of a step's rows with a frozen weight: GPT-2 small's shapes at 4 rows of 256 tokens.</summary>
public class ProductBenchmark : IDisposable
{
    private const int Rows = 1024;
    private Tensor input = null!, weight = null!, result = null!;

    /// <summary>Depth and columns of c_attn, of the last product of a block, and of 8,000 words of the head.</summary>
    [Params("768x2304", "3072x768", "768x8000")]
    public string Shape { get; set; } = "";

    /// <summary>Whether the weight is read by columns, as the backward pass does.</summary>
    [Params(false, true)]
    public bool IsTransposed { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        MicroBenchmark.PrepareThreads();
        long[] sizes = [.. Shape.Split('x').Select(long.Parse)];
        input = MicroBenchmark.Draw(1, Rows, sizes[0]);
        weight = IsTransposed ? MicroBenchmark.Draw(2, sizes[1], sizes[0]).t()
            : MicroBenchmark.Draw(2, sizes[0], sizes[1]);
        result = empty(Rows, sizes[1]);
        using Tensor expected = matmul(input, weight);
        Own();
        MicroBenchmark.AssertAlike(result, expected, 1e-4);
    }

    [Benchmark]
    public void Own() => MatMul.Write(result, input, weight);

    [Benchmark(Baseline = true)]
    public void Torch() => result.addmm_(input, weight, 0, 1);

    [GlobalCleanup]
    public void Dispose()
    {
        foreach (Tensor tensor in new[] { input, weight, result }) tensor?.Dispose();
    }
}
