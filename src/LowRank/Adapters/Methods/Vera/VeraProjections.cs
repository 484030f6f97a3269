using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Vera;

/// <summary>VeRA's frozen random pair, shared by all layers: each takes the first columns of A and rows of B that it needs.</summary>
/// <param name="a">A, [rank, widest input].</param>
/// <param name="b">B, [widest output, rank].</param>
/// <param name="isSaved">Whether the file holds them; otherwise they follow from the config's projection_prng_key.</param>
/// <param name="keyA">The key of A in the file.</param>
/// <param name="keyB">The key of B in the file.</param>
public sealed class VeraProjections(Tensor a, Tensor b, bool isSaved, string keyA, string keyB) : IFrozenPart
{
    /// <summary>A, [rank, widest input].</summary>
    public Tensor A => a;

    /// <summary>B, [widest output, rank].</summary>
    public Tensor B => b;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => isSaved ? [KeyValuePair.Create(keyA, a), KeyValuePair.Create(keyB, b)] : [];

    /// <inheritdoc/>
    public void Attach()
    {
        // The layers that share the pair attach themselves.
    }

    /// <inheritdoc/>
    public void Detach()
    {
        // As Attach.
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        a.Dispose();
        b.Dispose();
    }
}
