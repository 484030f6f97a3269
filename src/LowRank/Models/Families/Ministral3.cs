using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Ministral 3: Mistral with YaRN, and queries scaled beyond the original context length (arXiv
/// 2601.08584).</summary>
internal sealed class Ministral3 : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "ministral3";

    /// <inheritdoc/>
    public override string ClassPrefix => "Ministral3";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        if (!config.Has("rope_parameters")) config.Reject("rope_parameters", "missing", "an object");
        DecoderShape shape = RotaryFamily.Read(
            config, headDimension: 128, rope: new RopeDefaults(Theta: 1_000_000, ScalesQueries: true));
        int? window = config.Has("sliding_window") ? config.PositiveOr("sliding_window", 4096) : null;
        return shape with
        {
            NormEpsilon = config.ShareOr("rms_norm_eps", 1e-5),
            Windows = [.. Enumerable.Repeat(window, shape.Layers)],
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer) =>
        RotaryFamily.BuildBlock(weights, shape, layer);
}
