using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Qwen3: queries and keys normalised per head (arXiv 2505.09388).</summary>
internal sealed class Qwen3 : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "qwen3";

    /// <inheritdoc/>
    public override string ClassPrefix => "Qwen3";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        bool bias = config.FlagOr("attention_bias", false);
        DecoderShape shape =
            RotaryFamily.Read(config, headDimension: 128) with { AttentionBias = bias, OutputBias = bias };
        return shape with { Windows = Qwen2.UpperWindows(config, shape.Layers) };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer) =>
        RotaryFamily.BuildBlock(weights, shape, layer, normalizesHeads: true);
}
