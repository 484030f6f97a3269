using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.MicroBench;

/// <summary>What the benchmarks share.</summary>
internal static class MicroBenchmark
{
    /// <summary>One thread for each physical core, as all commands compute with.</summary>
    public static void PrepareThreads() => set_num_threads(ProcessorCores.Physical());

    /// <summary>Numbers like a layer's states: normal, of one size.</summary>
    public static Tensor Draw(ulong seed, params long[] shape) => randn(shape, generator: new Generator(seed));

    /// <summary>Refuses to time two sides that compute different things.</summary>
    /// <param name="found">What the kernel gives.</param>
    /// <param name="expected">What torch gives.</param>
    /// <param name="tolerance">The largest difference, as a share of the largest number.</param>
    /// <exception cref="InvalidOperationException">They differ by more.</exception>
    public static void AssertAlike(Tensor found, Tensor expected, double tolerance)
    {
        using var scope = NewDisposeScope();
        double size = expected.abs().max().item<float>(), off = (found - expected).abs().max().item<float>();
        if (!(off <= tolerance * size))
            throw new InvalidOperationException($"The kernel and torch differ by {off} where numbers reach {size}.");
    }
}
