using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Grouped-query attention with separate query, key and value projections; rotary where the model is.</summary>
/// <param name="query">[hidden] to [heads · dimension]</param>
/// <param name="key">[hidden] to [key-value heads · dimension]</param>
/// <param name="value">as <paramref name="key"/></param>
/// <param name="output">[heads · dimension] to [hidden]</param>
/// <param name="headDimension">Width of a head.</param>
/// <param name="settings">How the layer attends.</param>
/// <param name="queryNorm">A normalisation over each query head; null for families without.</param>
/// <param name="keyNorm">As <paramref name="queryNorm"/>, for keys.</param>
public sealed class SeparateAttention(Projection query, Projection key, Projection value, Projection output, int headDimension,
    AttentionSettings settings, INormalization? queryNorm = null, INormalization? keyNorm = null) : IAttention
{
    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => [query, key, value, output];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor q = context.Rotate(Heads(query.Forward(input, context.Dropout), queryNorm), settings.UsesLocalRope);
        Tensor k = context.Rotate(Heads(key.Forward(input, context.Dropout), keyNorm), settings.UsesLocalRope);
        Tensor v = Heads(value.Forward(input, context.Dropout), null);
        return output.Forward(AttentionKernel.Attend(q, k, v, settings, context), context.Dropout);
    }

    // [batch, sequence, heads · dimension] to [batch, heads, sequence, dimension]
    private Tensor Heads(Tensor projected, INormalization? norm)
    {
        Tensor heads = projected.view(projected.shape[0], projected.shape[1], -1, headDimension);
        return (norm is null ? heads : norm.Forward(heads)).transpose(1, 2);
    }
}
