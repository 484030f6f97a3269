using static TorchSharp.torch;

namespace LowRank.Adapters.Files;

/// <summary>The pair of one module in an adapter's file.</summary>
/// <param name="Path">The module's path.</param>
/// <param name="IsEmbedding">Whether it is an embedding, whose change is (B·A)ᵀ·s.</param>
/// <param name="A">A, [rank, in], float32.</param>
/// <param name="B">B, [out, rank], float32.</param>
/// <param name="Scale">The factor s.</param>
public sealed record LoraModule(string Path, bool IsEmbedding, Tensor A, Tensor B, double Scale)
{
    /// <summary>The rank.</summary>
    public int Rank => (int)A.shape[0];

    /// <summary>s·B·A, [out, in].</summary>
    public Tensor Delta() => matmul(B, A) * Scale;

    /// <summary>The same pair with the factor s in B, so that its own factor is 1.</summary>
    public LoraModule Folded() => this with { B = B * Scale, Scale = 1 };
}
