using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Qwen2 and Qwen2.5: biases on query, key and value; optionally a window in the upper layers (arXiv
/// 2407.10671).</summary>
internal sealed class Qwen2 : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "qwen2";

    /// <inheritdoc/>
    public override string ClassPrefix => "Qwen2";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        DecoderShape shape = RotaryFamily.Read(config) with { AttentionBias = true };
        return shape with { Windows = UpperWindows(config, shape.Layers) };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer) =>
        RotaryFamily.BuildBlock(weights, shape, layer);

    /// <summary>The windows in Qwen's configs: layers from max_window_layers upwards if use_sliding_window is
    /// true.</summary>
    internal static int?[] UpperWindows(ConfigReader config, int layers)
    {
        double full = config.NumberOr("max_window_layers", 28);
        return RotaryFamily.Windows(config, layers, Window(config), layer => layer >= full);
    }

    /// <summary>The window in Qwen's configs: sliding_window if use_sliding_window is true, otherwise null.</summary>
    internal static int? Window(ConfigReader config)
    {
        _ = config.Has("sliding_window"); // known to the family even where it is off
        return config.FlagOr("use_sliding_window", false) ? config.PositiveOr("sliding_window", 4096) : null;
    }
}
