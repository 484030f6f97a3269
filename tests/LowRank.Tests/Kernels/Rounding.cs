using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

/// <summary>Holds results in float32 to the exact ones, by bounds on rounding that hold for every input.</summary>
internal static class Rounding
{
    /// <summary>Half the distance from 1 to the next number in float32.</summary>
    public const double Unit = 1.0 / (1 << 24);

    /// <summary>How many cases to draw: a tenth where vectors are emulated, tens of times as slow.</summary>
    public static int Samples(int count) =>
        System.Runtime.Intrinsics.Vector128.IsHardwareAccelerated ? count : Math.Max(1, count / 10);

    /// <summary>Fails where a number is further from the exact one than its bound.</summary>
    /// <param name="exact">In float64.</param>
    /// <param name="bound">How far off each number may be, in float64, of a shape that broadcasts.</param>
    /// <param name="found">In float32.</param>
    public static void AssertWithin(Tensor exact, Tensor bound, Tensor found)
    {
        Assert.Equal(exact.shape, found.shape);
        Tensor excess = (found.to(ScalarType.Float64) - exact).abs() - bound;
        // Not a number is no less than anything, so the negation catches it too.
        Assert.True(excess.le(Number(0)).all().item<bool>(),
            $"A number is further from the exact one than its bound, by {excess.max().item<double>():g3}.");
    }

    /// <summary>Random numbers in float32.</summary>
    public static Tensor Draw(ulong seed, params long[] shape)
    {
        using var generator = new Generator(seed);
        return randn(shape, generator: generator);
    }

    /// <summary>The same numbers in memory with gaps, as slices of larger tensors have them.</summary>
    public static Tensor WithGaps(Tensor tensor) => cat([tensor, tensor], -1).narrow(-1, 0, tensor.shape[^1]);
}
