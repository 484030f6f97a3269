using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Attention with query, key and value from one projection; rotary where the model is.</summary>
/// <param name="queryKeyValue">[hidden] to queries, keys and values.</param>
/// <param name="output">[heads · dimension] to [hidden]</param>
/// <param name="split">Takes the fused output, [batch, sequence, …], apart into query, key and value, each [batch, heads,
/// sequence, dimension]: one of <see cref="FusedLayout"/>.</param>
/// <param name="settings">How the layer attends.</param>
public sealed class FusedAttention(Projection queryKeyValue, Projection output, Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> split,
    AttentionSettings settings) : IAttention
{
    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => [queryKeyValue, output];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor fused = queryKeyValue.Forward(input, context.Dropout);
        if (TiledAttentionKernel.TryAttendFused(fused, split, settings, context) is { } mixed) return output.Forward(mixed, context.Dropout);
        (Tensor q, Tensor k, Tensor v) = split(fused);
        (q, k) = (context.Rotate(q, settings.UsesLocalRope), context.Rotate(k, settings.UsesLocalRope));
        return output.Forward(AttentionKernel.Attend(q, k, v, settings, context), context.Dropout);
    }
}
