using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>GPT-NeoX and Pythia: parallel attention and feed-forward, rotary positions on a part of each head (arXiv
/// 2204.06745).</summary>
internal sealed class GptNeoX : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "gpt_neox";

    /// <inheritdoc/>
    public override string ClassPrefix => "GPTNeoX";

    /// <inheritdoc/>
    public override string TokenClassifierPath => "classifier";

    /// <inheritdoc/>
    public override string BasePrefix => "gpt_neox.";

    /// <inheritdoc/>
    public override string EmbeddingPath => "gpt_neox.embed_in";

    /// <inheritdoc/>
    public override string HeadPath => "embed_out";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        DecoderShape shape = RotaryFamily.Read(config, defaultActivation: "gelu",
            rope: new RopeDefaults(
                ThetaKey: "rotary_emb_base", Partial: 0.25, PartialKey: "rotary_pct", IsPartial: true));
        bool bias = config.FlagOr("attention_bias", true);
        return shape with
        {
            NormEpsilon = config.ShareOr("layer_norm_eps", 1e-5),
            AttentionBias = bias,
            OutputBias = bias,
            FeedForwardBias = true,
            ParallelResidual = config.FlagOr("use_parallel_residual", true),
            EmbeddingDropout = config.ShareOr("hidden_dropout", 0),
            ResidualDropout = config.ShareOr("hidden_dropout", 0),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"gpt_neox.layers.{layer}";
        int hidden = shape.HiddenSize;
        LayerNorm Norm(string name) => new(weights, path + name, hidden, shape.NormEpsilon);
        LayerNorm attentionNorm = Norm(".input_layernorm");
        var attention = new FusedAttention(
            Linear.Load(weights, path + ".attention.query_key_value", hidden, 3 * hidden, shape.AttentionBias),
            Linear.Load(weights, path + ".attention.dense", hidden, hidden, shape.OutputBias),
            FusedLayout.HeadByHead(shape.Heads, shape.HeadDimension), shape.Attention(layer));
        LayerNorm feedForwardNorm = Norm(".post_attention_layernorm");
        var feedForward = new PlainFeedForward(
            Linear.Load(weights, path + ".mlp.dense_h_to_4h", hidden, shape.IntermediateSize, bias: true),
            Linear.Load(weights, path + ".mlp.dense_4h_to_h", shape.IntermediateSize, hidden, bias: true),
            shape.Activation);
        return shape.ParallelResidual
            ? new ParallelBlock(attentionNorm, attention, feedForwardNorm, feedForward, shape.ResidualDropout)
            : new PreNormBlock(attentionNorm, attention, feedForwardNorm, feedForward, shape.ResidualDropout);
    }

    /// <inheritdoc/>
    public override INormalization BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        new LayerNorm(weights, "gpt_neox.final_layer_norm", shape.HiddenSize, shape.NormEpsilon);

    /// <inheritdoc/>
    // Old checkpoints store each layer's causal mask as a tensor.
    public override bool IsIgnorable(string name) => base.IsIgnorable(name)
        || name.EndsWith(".attention.bias", StringComparison.Ordinal)
        || name.EndsWith(".attention.masked_bias", StringComparison.Ordinal);
}
