using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>The pair of an embedding on the output head that shares its table (PEFT's <c>ensure_weight_tying</c>): y =
/// (E + s·(BA)ᵀ)x.</summary>
/// <param name="leader">The embedding's pair; not owned.</param>
/// <param name="probability">Dropout on the input while training, as of any linear layer's pair.</param>
public sealed class LoraTiedHead(LoraEmbedding leader, double probability) : IAdapterLayer
{
    /// <inheritdoc/>
    public bool CoversTie => true;

    /// <inheritdoc/>
    public bool Follows => true;

    /// <inheritdoc/>
    public bool IsAdditive => true;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [];

    /// <inheritdoc/>
    // A of a linear layer is what B of the embedding is, and the other way round.
    public IReadOnlyList<KeyValuePair<string, Tensor>> Copies =>
        [KeyValuePair.Create(".lora_A.weight", leader.B.detach().t().contiguous()),
            KeyValuePair.Create(".lora_B.weight", leader.A.detach().t().contiguous())];

    /// <inheritdoc/>
    public double Share
    {
        get => leader.Share;
        set => leader.Share = value;
    }

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        Tensor reduced = matmul(Dropout.Apply(input, probability, dropout), leader.B); // […, rank]
        return inner.Forward(input).add(matmul(reduced, leader.A), leader.Scale * leader.Share);
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias) => leader.Merged(weight, bias);

    /// <inheritdoc/>
    public void Dispose()
    {
        // The tensors are the leader's.
    }
}
