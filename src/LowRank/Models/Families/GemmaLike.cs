using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Shared parts of Gemma 1 to 3: scaled embeddings, norm weights stored as differences from 1, and from
/// Gemma 2 on norms around each part.</summary>
internal static class GemmaLike
{
    /// <summary>The config key for attention in both directions.</summary>
    public const string BothWays = "use_bidirectional_attention";

    /// <summary>Reads the keys that all share.</summary>
    public static DecoderShape Read(ConfigReader config, RopeDefaults rope)
    {
        string activationKey = config.Has("hidden_activation") ? "hidden_activation" : "hidden_act";
        bool bias = config.FlagOr("attention_bias", false);
        DecoderShape shape = RotaryFamily.Read(config, headDimension: 256, activationKey, "gelu_pytorch_tanh", rope);
        return shape with
        {
            TieHead = config.FlagOr("tie_word_embeddings", true),
            EmbeddingScale = (float)Math.Sqrt(shape.HiddenSize),
            AttentionBias = bias,
            OutputBias = bias,
        };
    }

    /// <summary>The factor of the attention scores in Gemma 2 and 3.</summary>
    public static double Scale(ConfigReader config) =>
        1 / Math.Sqrt(config.PositiveOr("query_pre_attn_scalar", 256));

    /// <summary>Rejects attention in both directions, about which transformers' eager and fused attention
    /// disagree.</summary>
    public static void RequireCausal(ConfigReader config)
    {
        if (config.FlagOr(BothWays, false)) config.Reject(BothWays, "true", "false");
    }

    /// <summary>A cap that null turns off; if the key is missing, the family's default applies.</summary>
    public static double? Cap(ConfigReader config, string key, double? otherwise)
    {
        if (!config.Has(key)) return config.Root.ContainsKey(key) ? null : otherwise;
        double cap = config.NumberOr(key, 1);
        if (cap <= 0) config.Reject(key, cap, "a number above zero, or null");
        return cap;
    }

    /// <summary>Norm, attention, norm; norm, gated feed-forward, norm.</summary>
    public static SandwichBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer, bool normalizesHeads)
    {
        string path = $"model.layers.{layer}";
        RmsNorm before = Norm(weights, path + ".input_layernorm", shape);
        SeparateAttention attention = RotaryFamily.Attention(weights, path + ".self_attn", shape, layer,
            normalizesHeads ? new HeadNorms((name, _) =>
                new RmsNorm(weights, name, shape.HeadDimension, shape.NormEpsilon, offset: 1)) : null);
        return new SandwichBlock(before, attention, Norm(weights, path + ".post_attention_layernorm", shape),
            Norm(weights, path + ".pre_feedforward_layernorm", shape),
                new GatedFeedForward(weights, path + ".mlp", shape),
            Norm(weights, path + ".post_feedforward_layernorm", shape));
    }

    /// <summary>A norm whose stored weight is the difference from 1.</summary>
    public static RmsNorm Norm(WeightLoader weights, string path, DecoderShape shape) =>
        new(weights, path, shape.HiddenSize, shape.NormEpsilon, offset: 1);
}
