using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>The low-rank pair of an embedding: row i becomes E[i] + s·B·A[:, i].</summary>
/// <remarks>As in PEFT, without dropout. A tied output head uses only the table unless <c>ensure_weight_tying</c> makes
/// it follow (<see cref="LoraTiedHead"/>).</remarks>
/// <param name="a">A, [rank, rows], float32.</param>
/// <param name="b">B, [width, rank], float32.</param>
/// <param name="scale">s.</param>
/// <param name="coversTie">Whether the output head that shares the table follows.</param>
internal sealed class LoraEmbedding(Tensor a, Tensor b, double scale, bool coversTie = false) : IAdapterLayer
{
    /// <summary>A, [rank, rows].</summary>
    public Tensor A => a;

    /// <summary>B, [width, rank].</summary>
    public Tensor B => b;

    /// <summary>The scale s.</summary>
    public double Scale => scale;

    public double Weight { get; set; } = 1;

    public bool CoversTie => coversTie;

    public bool IsAdditive => true;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
        [KeyValuePair.Create(".lora_embedding_A", a), KeyValuePair.Create(".lora_embedding_B", b)];

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        Tensor reduced = a.index_select(1, input.reshape(-1)).t(); // [tokens, rank]
        Tensor change = LinearProduct.Apply(reduced, b).view([.. input.shape, b.shape[0]]);
        return inner.Forward(input).add(change, Number(scale * Weight));
    }

    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        return (weight.add(matmul(b, a).t(), Number(scale * Weight)), bias);
    }

    public void Dispose()
    {
        a.Dispose();
        b.Dispose();
    }
}

/// <summary>The pair of an embedding applied to the output head that shares its table (PEFT's
/// <c>ensure_weight_tying</c>): y = (E + s·(BA)ᵀ)x.</summary>
/// <param name="leader">The embedding's pair; not owned.</param>
/// <param name="probability">Dropout on the input while training, as for any linear layer's pair.</param>
internal sealed class LoraTiedHead(LoraEmbedding leader, double probability) : IAdapterLayer
{
    public bool CoversTie => true;

    public bool Follows => true;

    public bool IsAdditive => true;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [];

    // The linear layer's A is the embedding's B, and vice versa.
    public IReadOnlyList<KeyValuePair<string, Tensor>> Copies =>
        [KeyValuePair.Create(".lora_A.weight", leader.B.detach().t().contiguous()),
            KeyValuePair.Create(".lora_B.weight", leader.A.detach().t().contiguous())];

    public double Weight
    {
        get => leader.Weight;
        set => leader.Weight = value;
    }

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        Tensor reduced = matmul(Dropout.Apply(input, probability, dropout), leader.B); // […, rank]
        return inner.Forward(input).add(matmul(reduced, leader.A), Number(leader.Scale * leader.Weight));
    }

    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias) => leader.Merged(weight, bias);

    public void Dispose()
    {
        // The leader owns the tensors.
    }
}
