using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Mistral: Llama's architecture with a sliding window in every layer (arXiv 2310.06825).</summary>
internal sealed class Mistral : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "mistral";

    /// <inheritdoc/>
    public override string ClassPrefix => "Mistral";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        DecoderShape shape = RotaryFamily.Read(config);
        // If the key is missing, transformers' default of 4096 applies; null, as in later checkpoints, means no window.
        bool explicitlyNone = config.Root.ContainsKey("sliding_window") && !config.Has("sliding_window");
        int? window = explicitlyNone ? null : config.PositiveOr("sliding_window", 4096);
        return shape with { Windows = RotaryFamily.Windows(config, shape.Layers, window, _ => true) };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer) =>
        RotaryFamily.BuildBlock(weights, shape, layer);
}
