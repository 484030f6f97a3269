using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.MicroBench;

/// <summary>What the benchmarks share.</summary>
internal static class MicroBenchmark
{
    /// <summary>As many threads as all commands have.</summary>
    public static void PrepareThreads() => set_num_threads(ProcessorCores.Usable());

    /// <summary>Normally distributed numbers, like a layer's states.</summary>
    public static Tensor Draw(ulong seed, params long[] shape) => randn(shape, generator: new Generator(seed));

    /// <summary>Refuses to time two forms whose results differ.</summary>
    /// <param name="found">The kernel's result.</param>
    /// <param name="expected">torch's result.</param>
    /// <param name="tolerance">The largest difference, as a share of the largest number.</param>
    /// <exception cref="InvalidOperationException">The results differ by more.</exception>
    public static void AssertAlike(Tensor found, Tensor expected, double tolerance)
    {
        using var scope = NewDisposeScope();
        double size = expected.abs().max().item<float>(), off = (found - expected).abs().max().item<float>();
        if (!(off <= tolerance * size))
            throw new InvalidOperationException($"The kernel and torch differ by {off} where numbers reach {size}.");
    }
}
