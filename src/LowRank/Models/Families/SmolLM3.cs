using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>SmolLM3: Llama without rotary positions in some layers (NoPE, arXiv 2501.18795), which may attend in a
/// window.</summary>
internal sealed class SmolLM3 : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "smollm3";

    /// <inheritdoc/>
    public override string ClassPrefix => "SmolLM3";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        DecoderShape shape = Llama.ReadBiased(config, new RopeDefaults(Theta: 2_000_000));
        int? window = config.Has("sliding_window") ? Qwen2.Window(config) : null;
        _ = config.FlagOr("use_sliding_window", false);
        IReadOnlyList<int> unrotated = Unrotated(config, shape.Layers);
        return shape with
        {
            TieHead = config.FlagOr("tie_word_embeddings", true),
            UnrotatedLayers = unrotated,
            Windows = RotaryFamily.Windows(config, shape.Layers, window, unrotated.Contains),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer) =>
        RotaryFamily.BuildBlock(weights, shape, layer);

    // no_rope_layers has a 1 for each layer that rotates.
    private static int[] Unrotated(ConfigReader config, int layers)
    {
        int every = config.PositiveOr("no_rope_layer_interval", 4);
        IReadOnlyList<int> rotates = config.Has("no_rope_layers") ? config.TokenIds("no_rope_layers")
            : [.. Enumerable.Range(1, layers).Select(number => number % every == 0 ? 0 : 1)];
        if (rotates.Count != layers)
            config.Reject("no_rope_layers", $"{rotates.Count} entries", $"one for each of the {layers} layers");
        return [.. Enumerable.Range(0, Math.Min(layers, rotates.Count)).Where(layer => rotates[layer] == 0)];
    }
}
