using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Command R7B and A: attention and feed-forward in parallel behind one norm; the layers with a window rotate
/// neighbouring pairs, those without know no positions (arXiv 2504.00698).</summary>
internal sealed class Cohere2 : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "cohere2";

    /// <inheritdoc/>
    public override string ClassPrefix => "Cohere2";

    /// <inheritdoc/>
    public override IReadOnlyList<HeadKind> Heads => [HeadKind.LanguageModel, HeadKind.None];

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        DecoderShape shape = RotaryFamily.Read(config, rope: new RopeDefaults(IsInterleaved: true));
        bool bias = config.FlagOr("attention_bias", false);
        if (shape.HeadDimension * shape.Heads != shape.HiddenSize)
            config.Reject("head_dim", shape.HeadDimension, "hidden_size / num_attention_heads");
        int every = config.PositiveOr("sliding_window_pattern", 4);
        int?[] windows = RotaryFamily.Windows(
            config, shape.Layers, config.PositiveOr("sliding_window", 4096), layer => (layer + 1) % every != 0);
        return shape with
        {
            NormEpsilon = config.ShareOr("layer_norm_eps", 1e-5),
            TieHead = config.FlagOr("tie_word_embeddings", true),
            AttentionBias = bias,
            OutputBias = bias,
            LogitScale = config.NumberOr("logit_scale", 0.0625),
            Windows = windows,
            UnrotatedLayers = [.. Enumerable.Range(0, shape.Layers).Where(layer => windows[layer] is null)],
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"model.layers.{layer}";
        return new ParallelBlock(
            Norm(weights, path + ".input_layernorm", shape),
            RotaryFamily.Attention(weights, path + ".self_attn", shape, layer), null,
            new GatedFeedForward(weights, path + ".mlp", shape), shape.ResidualDropout);
    }

    /// <inheritdoc/>
    public override INormalization BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        Norm(weights, "model.norm", shape);

    private static LayerNorm Norm(WeightLoader weights, string path, DecoderShape shape) =>
        new(weights, path, shape.HiddenSize, shape.NormEpsilon, hasBias: false);
}
