using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>StarCoder2: Llama's attention with layer norms, biases and a plain feed-forward layer (arXiv
/// 2402.19173).</summary>
internal sealed class Starcoder2 : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "starcoder2";

    /// <inheritdoc/>
    public override string ClassPrefix => "Starcoder2";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        DecoderShape shape = RotaryFamily.Read(config, defaultActivation: "gelu_pytorch_tanh");
        bool bias = config.FlagOr("use_bias", true);
        int? window = config.Has("sliding_window") ? config.PositiveOr("sliding_window", 4096) : null;
        return shape with
        {
            NormEpsilon = config.ShareOr("norm_epsilon", 1e-5),
            TieHead = config.FlagOr("tie_word_embeddings", true),
            AttentionBias = bias,
            OutputBias = bias,
            FeedForwardBias = bias,
            Windows = [.. Enumerable.Repeat(window, shape.Layers)],
            EmbeddingDropout = config.ShareOr("embedding_dropout", 0),
            ResidualDropout = config.ShareOr("residual_dropout", 0),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"model.layers.{layer}";
        int hidden = shape.HiddenSize;
        LayerNorm Norm(string name) => new(weights, path + name, hidden, shape.NormEpsilon);
        return new PreNormBlock(
            Norm(".input_layernorm"), RotaryFamily.Attention(weights, path + ".self_attn", shape, layer),
            Norm(".post_attention_layernorm"),
            new PlainFeedForward(
                Linear.Load(weights, path + ".mlp.c_fc", hidden, shape.IntermediateSize, shape.FeedForwardBias),
                Linear.Load(weights, path + ".mlp.c_proj", shape.IntermediateSize, hidden, shape.FeedForwardBias),
                shape.Activation),
            shape.ResidualDropout);
    }

    /// <inheritdoc/>
    public override INormalization BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        new LayerNorm(weights, "model.norm", shape.HiddenSize, shape.NormEpsilon);
}
