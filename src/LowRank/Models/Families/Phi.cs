using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Phi-1 to Phi-2: attention and feed-forward in parallel behind one norm, a part of each head rotated, biases
/// everywhere (arXiv 2309.05463).</summary>
internal sealed class Phi : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "phi";

    /// <inheritdoc/>
    public override string ClassPrefix => "Phi";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        DecoderShape shape = RotaryFamily.Read(config, defaultActivation: "gelu_new",
            rope: new RopeDefaults(Partial: 0.5, IsPartial: true));
        return shape with
        {
            NormEpsilon = config.ShareOr("layer_norm_eps", 1e-5),
            NormalizesHeads = config.FlagOr("qk_layernorm", false),
            AttentionBias = true,
            OutputBias = true,
            FeedForwardBias = true,
            HeadBias = true,
            EmbeddingDropout = config.ShareOr("embd_pdrop", 0),
            ResidualDropout = config.ShareOr("resid_pdrop", 0),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"model.layers.{layer}";
        int hidden = shape.HiddenSize;
        LayerNorm Norm(string name, int width) => new(weights, name, width, shape.NormEpsilon);
        HeadNorms? norms = shape.NormalizesHeads
            ? new HeadNorms((name, _) => Norm(name, shape.HeadDimension), "layernorm") : null;
        return new ParallelBlock(
            Norm(path + ".input_layernorm", hidden),
            RotaryFamily.Attention(weights, path + ".self_attn", shape, layer, norms, "dense"), null,
            new PlainFeedForward(
                Linear.Load(weights, path + ".mlp.fc1", hidden, shape.IntermediateSize, bias: true),
                Linear.Load(weights, path + ".mlp.fc2", shape.IntermediateSize, hidden, bias: true),
                shape.Activation),
            shape.ResidualDropout);
    }

    /// <inheritdoc/>
    public override INormalization BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        new LayerNorm(weights, "model.final_layernorm", shape.HiddenSize, shape.NormEpsilon);
}
