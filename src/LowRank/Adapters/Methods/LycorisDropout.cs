using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>The two dropouts of LyCORIS: rows of the change (rank_dropout) and the change as a whole
/// (module_dropout).</summary>
internal static class LycorisDropout
{
    /// <summary>Whether the whole change is left out this time.</summary>
    public static bool SkipsModule(double probability, Generator? random)
    {
        if (random is null || probability == 0) return false;
        using Tensor draw = rand(1, generator: random);
        return draw.item<float>() <= probability;
    }

    /// <summary>Leaves out outputs of a change: a row of the change's matrix is an output.</summary>
    /// <param name="change">[…, out]</param>
    /// <param name="probability">Share left out.</param>
    /// <param name="rescales">Whether the rest is scaled up so that the mean stays.</param>
    /// <param name="random">The source of randomness; null in evaluation.</param>
    public static Tensor Apply(Tensor change, double probability, bool rescales, Generator? random)
    {
        if (random is null || probability == 0) return change;
        Tensor kept = (rand(change.shape[^1], generator: random) > probability).to(ScalarType.Float32).to(
            change.device);
        // Everything left out: there is nothing to scale up.
        if (rescales) kept = kept / kept.mean().clamp_min(1.0 / change.shape[^1]);
        return change * kept;
    }
}
