using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Frees the gradients that a function of ours gave to torch's backward pass.</summary>
/// <remarks>Torch takes its own references after the function has returned, and nobody is told: without this, every gradient of
/// a pass would stay in memory until the step's dispose scope ends.</remarks>
internal static class ReturnedGradients
{
    [ThreadStatic]
    private static List<Tensor>? kept;

    /// <summary>Frees the gradients of the function that was called before, which torch has taken by now.</summary>
    public static void Release()
    {
        if (kept is null) return;
        foreach (Tensor gradient in kept) gradient.Dispose();
        kept.Clear();
    }

    /// <summary>Takes gradients out of the dispose scope until the next <see cref="Release"/>.</summary>
    /// <param name="gradients">One for each of the function's arguments; null for none.</param>
    /// <returns>The same.</returns>
    public static List<Tensor> Keep(params Tensor?[] gradients)
    {
        kept ??= [];
        foreach (Tensor gradient in gradients.OfType<Tensor>())
        {
            gradient.DetachFromDisposeScope();
            kept.Add(gradient);
        }
        return [.. gradients.Select(gradient => gradient!)];
    }
}
