using System.Globalization;
using System.Runtime.Intrinsics;
using LowRank.Kernels;

namespace LowRank.Tests.Kernels;

/// <summary>That a run with narrower vectors has them.</summary>
public sealed class VectorTests
{
    /// <summary>The variable that says how wide the widest vectors of a run should be, in bits.</summary>
    public const string Widest = "LOWRANK_TESTS_WIDEST_VECTOR";

    [Fact]
    public void Vectors_are_as_narrow_as_was_asked_for()
    {
        int widest = Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256
            : Vector128.IsHardwareAccelerated ? 128 : 0;
        if (Environment.GetEnvironmentVariable(Widest) is { } asked)
            Assert.InRange(widest, 0, int.Parse(asked, CultureInfo.InvariantCulture));
    }
}
