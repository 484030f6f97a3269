using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Llama 1 to 3 and all models with that architecture (arXiv 2302.13971, 2407.21783).</summary>
internal sealed class Llama : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "llama";

    /// <inheritdoc/>
    public override string ClassPrefix => "Llama";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config) => ReadBiased(config);

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer) =>
        RotaryFamily.BuildBlock(weights, shape, layer);

    /// <summary>Reads the keys of Llama, its biases included.</summary>
    /// <param name="config">The config.</param>
    /// <param name="rope">The family's rotary defaults.</param>
    internal static DecoderShape ReadBiased(ConfigReader config, RopeDefaults? rope = null)
    {
        bool bias = config.FlagOr("attention_bias", false);
        return RotaryFamily.Read(config, rope: rope) with
        {
            AttentionBias = bias,
            OutputBias = bias,
            FeedForwardBias = config.FlagOr("mlp_bias", false),
        };
    }
}
