using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>The two dropouts of LyCORIS: rows of the change (rank_dropout) and the change as a whole
/// (module_dropout).</summary>
internal static class LycorisDropout
{
    /// <summary>Whether the whole change is dropped this time.</summary>
    public static bool SkipsModule(double probability, Generator? random)
    {
        if (random is null || probability == 0) return false;
        using Tensor draw = rand(1, generator: random);
        return draw.item<float>() <= probability;
    }

    /// <summary>Drops outputs of a change: a row of the change's matrix is an output.</summary>
    /// <param name="change">[…, out]</param>
    /// <param name="probability">Fraction dropped.</param>
    /// <param name="rescales">Whether the rest is scaled up to preserve the mean.</param>
    /// <param name="random">The random generator; null in evaluation.</param>
    public static Tensor Apply(Tensor change, double probability, bool rescales, Generator? random)
    {
        if (random is null || probability == 0) return change;
        Tensor kept = (rand(change.shape[^1], generator: random) > Number(probability)).to(ScalarType.Float32).to(
            change.device);
        // Everything is dropped: there is nothing to scale up.
        if (rescales) kept = kept / kept.mean().clamp_min(Number(1.0 / change.shape[^1]));
        return change * kept;
    }
}
