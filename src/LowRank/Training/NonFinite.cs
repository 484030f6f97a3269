using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>Finds what of a step has left the numbers.</summary>
internal static class NonFinite
{
    // AdamW keeps mean squares in float32: an infinite one would hold its weight still for ever, and say nothing.
    private const double LargestSquared = 1.8e19;

    /// <summary>What is infinite or not a number, as a message names it; null when loss and gradients are finite.</summary>
    /// <param name="loss">The step's loss.</param>
    /// <param name="norm">The norm of all gradients together.</param>
    /// <param name="scale">What the gradients will be multiplied with before the optimizer takes them.</param>
    /// <param name="weights">The weights that carry the gradients, in the order of the model.</param>
    public static string? Of(double loss, double norm, double scale, IReadOnlyList<KeyValuePair<string, Tensor>> weights)
    {
        if (!double.IsFinite(loss)) return $"the loss is {Name(loss)}";
        if (norm * scale < LargestSquared) return null;
        if (double.IsFinite(norm)) return $"the norm of the gradients is {Name(norm)}, too large to be squared in float32";
        string[] broken = [.. weights.Where(weight => weight.Value.grad is { } gradient && !FiniteOutput.Holds(gradient)).Select(weight => weight.Key)];
        // Gradients come back from the loss: the last weight of the model is the first that was reached.
        return broken.Length == 0
            ? $"the norm of the gradients is {Name(norm)}, though each of them is finite"
            : $"the gradient of {broken[^1]} is not finite ({broken.Length} of {weights.Count} are not; this one is the nearest to the loss)";
    }

    /// <summary>NaN, infinity or a number, as messages write it.</summary>
    public static string Name(double value) => double.IsNaN(value) ? "NaN" : double.IsPositiveInfinity(value) ? "infinite"
        : double.IsNegativeInfinity(value) ? "minus infinite" : FormattableString.Invariant($"{value:g4}");
}
