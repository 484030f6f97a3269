using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>A weight that is computed when it is needed.</summary>
/// <param name="Shape">Its shape.</param>
/// <param name="Read">Gives it, in the caller's dispose scope.</param>
internal sealed record LazyWeight(long[] Shape, Func<Tensor> Read);
