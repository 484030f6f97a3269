using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>A part of a model that runs twice: first for its output, and again in the backward pass for its
/// graph.</summary>
/// <remarks>If the output is the last product of <see cref="LowRankLinear"/>, or a sum with it, no gradient needs the
/// values of that product, and the second run does not compute them. The first run finds this out: it follows the
/// product's tensor through dropout and sums. So layers and adapters declare nothing, and a product of which they
/// compute anything else is computed again; torch itself forbids changing the output of a <see cref="GraphStep"/> in
/// place.</remarks>
internal sealed class Recomputation
{
    [ThreadStatic]
    private static Recomputation? current;

    private Tensor? followed; // the last product, or a sum with it
    private int products;     // of this run so far
    private int unread;       // the number of the product that the second run leaves out; 0 for none

    /// <summary>Runs the part for its output.</summary>
    public Tensor First(Func<Tensor> part)
    {
        (Tensor output, bool isSum) = Run(part);
        unread = isSum ? products : 0;
        return output;
    }

    /// <summary>Runs the part for its graph, in the same way as before.</summary>
    /// <returns>The output; its values are undefined if they are those of a sum with the last product.</returns>
    /// <exception cref="InvalidOperationException">The part computed something else than before.</exception>
    public Tensor Again(Func<Tensor> part)
    {
        (Tensor output, bool isSum) = Run(part);
        return unread == 0 || (isSum && products == unread) ? output : throw new InvalidOperationException(
            "A block computes something else in the backward pass than in the forward pass, so it cannot be " +
            "recomputed. Train without gradient checkpointing.");
    }

    /// <summary>Begins the next product.</summary>
    /// <returns>Whether its values are not read.</returns>
    public static bool Begins() => current is { } run && ++run.products == run.unread;

    /// <summary>Follows the product that has begun, in its tensor.</summary>
    /// <returns>The product.</returns>
    public static Tensor Ends(Tensor product)
    {
        if (current is { } run) run.followed = product;
        return product;
    }

    /// <summary>Follows the product from one tensor to another, whose graph does not need its values.</summary>
    /// <returns>The other tensor.</returns>
    public static Tensor Passes(Tensor from, Tensor to)
    {
        if (current is { } run && ReferenceEquals(run.followed, from)) run.followed = to;
        return to;
    }

    private (Tensor Output, bool IsSum) Run(Func<Tensor> part)
    {
        Recomputation? outer = current;
        (current, products) = (this, 0);
        try
        {
            Tensor output = part();
            return (output, ReferenceEquals(output, followed));
        }
        finally
        {
            (current, followed) = (outer, null);
        }
    }
}
