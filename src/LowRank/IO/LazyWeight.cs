using static TorchSharp.torch;

namespace LowRank.IO;

/// <summary>A weight that is computed when it is needed, so that weights are written one at a time.</summary>
/// <param name="Shape">Its shape.</param>
/// <param name="Type">Its dtype.</param>
/// <param name="Read">Gives it, in the caller's dispose scope.</param>
internal sealed record LazyWeight(long[] Shape, ScalarType Type, Func<Tensor> Read)
{
    /// <summary>Says that it is written and not needed again, so that a mapped file's pages may be released.</summary>
    public Action? Release { get; init; }

    /// <summary>A weight that is in memory already.</summary>
    public static LazyWeight Of(Tensor weight) => new(weight.shape, weight.dtype, () => weight.alias());
}
