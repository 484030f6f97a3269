using LowRank.Kernels;
using LowRank.Models.Layers;
using static TorchSharp.torch;

namespace LowRank.Models.Families;

/// <summary>StableLM 2 and 3B: layer norms, a quarter of each head rotated, optionally parallel and with a norm of its
/// own for each head (arXiv 2402.17834).</summary>
internal sealed class StableLm : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "stablelm";

    /// <inheritdoc/>
    public override string ClassPrefix => "StableLm";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        DecoderShape shape = RotaryFamily.Read(config, rope: new RopeDefaults(Partial: 0.25, IsPartial: true));
        return shape with
        {
            NormEpsilon = config.ShareOr("layer_norm_eps", 1e-5),
            NormalizesHeads = config.FlagOr("qk_layernorm", false),
            AttentionBias = config.FlagOr("use_qkv_bias", false),
            ParallelResidual = config.FlagOr("use_parallel_residual", false),
            ResidualDropout = config.ShareOr("hidden_dropout", 0),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"model.layers.{layer}";
        LayerNorm Norm(string name) => new(weights, path + name, shape.HiddenSize, shape.NormEpsilon);
        HeadNorms? norms = shape.NormalizesHeads
            ? new HeadNorms((name, heads) => new NormOfEachHead(weights, name, heads, shape), "layernorm") : null;
        LayerNorm attentionNorm = Norm(".input_layernorm");
        SeparateAttention attention = RotaryFamily.Attention(weights, path + ".self_attn", shape, layer, norms);
        var feedForward = new GatedFeedForward(weights, path + ".mlp", shape);
        // Dropout is on the feed-forward layer's addition alone.
        return shape.ParallelResidual
            ? new ParallelBlock(attentionNorm, attention, null, feedForward, 0, shape.ResidualDropout)
            : new PreNormBlock(attentionNorm, attention, Norm(".post_attention_layernorm"), feedForward, 0,
                shape.ResidualDropout);
    }

    /// <inheritdoc/>
    public override INormalization BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        new LayerNorm(weights, "model.norm", shape.HiddenSize, shape.NormEpsilon);

    // A layer norm without a bias for each head, [batch, sequence, heads, dimension].
    private sealed class NormOfEachHead(WeightLoader weights, string path, int heads, DecoderShape shape)
        : INormalization
    {
        private readonly Tensor[] scales = [.. Enumerable.Range(0, heads)
            .Select(head => weights.Take($"{path}.norms.{head}.weight", shape.HeadDimension))];
        private readonly double epsilon = shape.NormEpsilon;

        public Tensor Forward(Tensor input) => Norm.Layer(input, null, null, epsilon) * stack(scales);
    }
}
