using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Gemma 2: a window in every other layer, capped attention scores and logits (arXiv 2408.00118).</summary>
internal sealed class Gemma2 : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "gemma2";

    /// <inheritdoc/>
    public override string ClassPrefix => "Gemma2";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        GemmaLike.RequireCausal(config);
        DecoderShape shape = GemmaLike.Read(config, new RopeDefaults());
        return shape with
        {
            AttentionScale = GemmaLike.Scale(config),
            AttentionSoftcap = GemmaLike.Cap(config, "attn_logit_softcapping", 50),
            LogitSoftcap = GemmaLike.Cap(config, "final_logit_softcapping", 30),
            Windows = RotaryFamily.Windows(
                config, shape.Layers, config.PositiveOr("sliding_window", 4096), layer => layer % 2 == 0),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer) =>
        GemmaLike.BuildBlock(weights, shape, layer, normalizesHeads: false);

    /// <inheritdoc/>
    public override INormalization BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        GemmaLike.Norm(weights, "model.norm", shape);
}
