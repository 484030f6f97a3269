using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Gemma 1: Llama's blocks with scaled embeddings and norm weights stored as differences from 1 (arXiv
/// 2403.08295).</summary>
internal sealed class Gemma : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "gemma";

    /// <inheritdoc/>
    public override string ClassPrefix => "Gemma";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        GemmaLike.RequireCausal(config);
        return GemmaLike.Read(config, new RopeDefaults());
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"model.layers.{layer}";
        RmsNorm attentionNorm = GemmaLike.Norm(weights, path + ".input_layernorm", shape);
        SeparateAttention attention = RotaryFamily.Attention(weights, path + ".self_attn", shape, layer);
        RmsNorm feedForwardNorm = GemmaLike.Norm(weights, path + ".post_attention_layernorm", shape);
        return new PreNormBlock(attentionNorm, attention, feedForwardNorm,
            new GatedFeedForward(weights, path + ".mlp", shape), shape.ResidualDropout);
    }

    /// <inheritdoc/>
    public override INormalization BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        GemmaLike.Norm(weights, "model.norm", shape);
}
