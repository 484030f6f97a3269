using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>GPT-2's attention: query, key and value from one projection, positions learned elsewhere.</summary>
public sealed class FusedAttention(Projection queryKeyValue, Projection output, DecoderShape shape, int layer) : IAttention
{
    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => [queryKeyValue, output];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor fused = queryKeyValue.Forward(input, context.Dropout); // [batch, sequence, 3 · hidden]
        Tensor[] parts = fused.view(input.shape[0], input.shape[1], 3, shape.Heads, shape.HeadDimension)
            .permute(2, 0, 3, 1, 4).unbind(0);
        Tensor mixed = AttentionKernel.Attend(layer, parts[0], parts[1], parts[2], shape.Windows[layer], shape.AttentionDropout, context);
        return output.Forward(mixed, context.Dropout);
    }
}
