using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Phi-3 and Phi-4: one layer for query, key and value, one for gate and up, LongRoPE for long contexts
/// (arXiv 2404.14219).</summary>
internal sealed class Phi3 : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "phi3";

    /// <inheritdoc/>
    public override string ClassPrefix => "Phi3";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        DecoderShape shape = RotaryFamily.Read(config, rope: new RopeDefaults(IsPartial: true));
        int? window = config.Has("sliding_window") ? config.PositiveOr("sliding_window", 4096) : null;
        return shape with
        {
            NormEpsilon = config.ShareOr("rms_norm_eps", 1e-5),
            Windows = RotaryFamily.Windows(config, shape.Layers, window, _ => true),
            EmbeddingDropout = 0, // embd_pdrop stands in the configs, but transformers has no such layer
            ResidualDropout = config.ShareOr("resid_pdrop", 0),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"model.layers.{layer}";
        int hidden = shape.HiddenSize, wide = shape.Heads * shape.HeadDimension,
            narrow = shape.KeyValueHeads * shape.HeadDimension;
        RmsNorm Norm(string name) => new(weights, path + name, hidden, shape.NormEpsilon);
        RmsNorm attentionNorm = Norm(".input_layernorm");
        var attention = new FusedAttention(
            Linear.Load(weights, path + ".self_attn.qkv_proj", hidden, wide + 2 * narrow, bias: false),
            Linear.Load(weights, path + ".self_attn.o_proj", wide, hidden, bias: false),
            FusedLayout.Grouped(shape.Heads, shape.KeyValueHeads, shape.HeadDimension), shape.Attention(layer));
        RmsNorm feedForwardNorm = Norm(".post_attention_layernorm");
        var feedForward = new FusedGatedFeedForward(
            Linear.Load(weights, path + ".mlp.gate_up_proj", hidden, 2 * shape.IntermediateSize, bias: false),
            Linear.Load(weights, path + ".mlp.down_proj", shape.IntermediateSize, hidden, bias: false),
            shape.Activation);
        return new PreNormBlock(attentionNorm, attention, feedForwardNorm, feedForward, shape.ResidualDropout);
    }
}
