using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>OLMo 3: OLMo 2 with a window in three of four layers (arXiv 2512.13961).</summary>
internal sealed class Olmo3 : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "olmo3";

    /// <inheritdoc/>
    public override string ClassPrefix => "Olmo3";

    /// <inheritdoc/>
    public override IReadOnlyList<HeadKind> Heads =>
        [HeadKind.LanguageModel, HeadKind.SequenceClassification, HeadKind.None];

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        DecoderShape shape = Olmo2.ReadShape(config);
        return shape with
        {
            Windows = RotaryFamily.Windows(config, shape.Layers, config.PositiveOr("sliding_window", 4096),
                layer => (layer + 1) % 4 != 0),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer) =>
        Olmo2.Block(weights, shape, layer);
}
