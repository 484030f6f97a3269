using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>OLMo 2: norms after each part instead of before it, and on queries and keys over all heads (arXiv
/// 2501.00656).</summary>
internal sealed class Olmo2 : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "olmo2";

    /// <inheritdoc/>
    public override string ClassPrefix => "Olmo2";

    /// <inheritdoc/>
    public override IReadOnlyList<HeadKind> Heads =>
        [HeadKind.LanguageModel, HeadKind.SequenceClassification, HeadKind.None];

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config) => ReadShape(config);

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer) =>
        Block(weights, shape, layer);

    /// <summary>Reads the keys that OLMo 2 and 3 share.</summary>
    internal static DecoderShape ReadShape(ConfigReader config)
    {
        bool bias = config.FlagOr("attention_bias", false);
        return RotaryFamily.Read(config) with
        {
            NormEpsilon = config.ShareOr("rms_norm_eps", 1e-5), AttentionBias = bias, OutputBias = bias,
        };
    }

    /// <summary>Attention, norm; gated feed-forward, norm.</summary>
    internal static SandwichBlock Block(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"model.layers.{layer}";
        RmsNorm Norm(string name, int width) => new(weights, name, width, shape.NormEpsilon);
        SeparateAttention attention = RotaryFamily.Attention(weights, path + ".self_attn", shape, layer,
            new HeadNorms((name, heads) => Norm(name, heads * shape.HeadDimension), OfAllHeads: true));
        RmsNorm attentionNorm = Norm(path + ".post_attention_layernorm", shape.HiddenSize);
        var feedForward = new GatedFeedForward(weights, path + ".mlp", shape);
        return new SandwichBlock(null, attention, attentionNorm, null, feedForward,
            Norm(path + ".post_feedforward_layernorm", shape.HiddenSize));
    }
}
