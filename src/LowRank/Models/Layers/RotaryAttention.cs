using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Grouped-query attention with rotary positions and separate query, key and value projections.</summary>
public sealed class RotaryAttention : IAttention
{
    private readonly Projection query;
    private readonly Projection key;
    private readonly Projection value;
    private readonly Projection output;
    private readonly INormalization? queryNorm;
    private readonly INormalization? keyNorm;
    private readonly DecoderShape shape;
    private readonly int layer;

    /// <summary>Takes q_proj, k_proj, v_proj and o_proj below <paramref name="path"/>.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="shape">The model's sizes.</param>
    /// <param name="layer">The layer's number.</param>
    /// <param name="headNorm">Makes a normalisation over each head from its path, for families that have q_norm and
    /// k_norm; null for those without.</param>
    public RotaryAttention(WeightLoader weights, string path, DecoderShape shape, int layer, Func<string, INormalization>? headNorm = null)
    {
        this.shape = shape;
        this.layer = layer;
        int wide = shape.Heads * shape.HeadDimension, narrow = shape.KeyValueHeads * shape.HeadDimension;
        query = Projection.Linear(weights, path + ".q_proj", shape.HiddenSize, wide, shape.AttentionBias);
        key = Projection.Linear(weights, path + ".k_proj", shape.HiddenSize, narrow, shape.AttentionBias);
        value = Projection.Linear(weights, path + ".v_proj", shape.HiddenSize, narrow, shape.AttentionBias);
        output = Projection.Linear(weights, path + ".o_proj", wide, shape.HiddenSize, shape.OutputBias);
        queryNorm = headNorm?.Invoke(path + ".q_norm");
        keyNorm = headNorm?.Invoke(path + ".k_norm");
    }

    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => [query, key, value, output];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor q = Heads(query.Forward(input, context.Dropout), queryNorm);
        Tensor k = Heads(key.Forward(input, context.Dropout), keyNorm);
        Tensor v = Heads(value.Forward(input, context.Dropout), null);
        q = RotaryEmbedding.Rotate(q, context.Cosine!, context.Sine!);
        k = RotaryEmbedding.Rotate(k, context.Cosine!, context.Sine!);
        Tensor mixed = AttentionKernel.Attend(layer, q, k, v, shape.Windows[layer], shape.AttentionDropout, context);
        return output.Forward(mixed, context.Dropout);
    }

    // [batch, sequence, heads · dimension] to [batch, heads, sequence, dimension]
    private Tensor Heads(Tensor projected, INormalization? norm)
    {
        Tensor heads = projected.view(projected.shape[0], projected.shape[1], -1, shape.HeadDimension);
        return (norm is null ? heads : norm.Forward(heads)).transpose(1, 2);
    }
}
