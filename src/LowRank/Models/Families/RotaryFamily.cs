using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Shared parts of the Llama-like families: config keys and the composition of a block.</summary>
internal static class RotaryFamily
{
    /// <summary>Reads the keys that these families share.</summary>
    /// <param name="config">The config.</param>
    /// <param name="headDimension">The family's head width if the key head_dim is missing; null for hidden /
    /// heads.</param>
    /// <param name="activationKey">The key of the activation name.</param>
    /// <param name="defaultActivation">The activation if its key is missing.</param>
    /// <param name="rope">The family's rotary defaults.</param>
    public static DecoderShape Read(ConfigReader config, int? headDimension = null, string activationKey = "hidden_act",
        string defaultActivation = "silu", RopeDefaults? rope = null)
    {
        int hidden = config.Positive("hidden_size"), heads = config.Positive("num_attention_heads");
        int layers = config.Layers("num_hidden_layers");
        int keyValueHeads = config.SizeOr("num_key_value_heads", heads);
        if (heads % keyValueHeads != 0)
            config.Reject(
                "num_key_value_heads", keyValueHeads, $"a divisor of num_attention_heads ({heads})");
        int dimension = config.SizeOr("head_dim", headDimension ?? Math.Max(hidden / heads, 1));
        if ((long)heads * dimension > ConfigReader.LargestSize)
            config.Reject(
                "head_dim", dimension,
                $"at most {ConfigReader.LargestSize} values in all {heads} heads (num_attention_heads)");
        if (!config.Has("head_dim") && headDimension is null && hidden % heads != 0)
            config.Reject("hidden_size", hidden, $"a multiple of num_attention_heads ({heads})");
        int maxPositions = config.PositiveOr("max_position_embeddings", 2048);
        string activation = Activation.Read(config, activationKey, defaultActivation);
        return new DecoderShape
        {
            VocabularySize = config.Positive("vocab_size"),
            HiddenSize = hidden,
            Layers = layers,
            Heads = heads,
            KeyValueHeads = keyValueHeads,
            HeadDimension = dimension,
            IntermediateSize = config.Positive("intermediate_size"),
            MaxPositions = maxPositions,
            NormEpsilon = config.ShareOr("rms_norm_eps", 1e-6),
            Activation = activation,
            TieHead = config.FlagOr("tie_word_embeddings", false),
            Rope = RopeReader.Read(config, dimension, maxPositions, rope),
            Windows = new int?[layers],
            AttentionDropout = config.ShareOr("attention_dropout", 0),
            InitializerRange = config.ShareOr("initializer_range", 0.02),
        };
    }

    /// <summary>The layers that attend in a window: from <c>layer_types</c> if present, otherwise from
    /// <paramref name="byDefault"/>.</summary>
    public static int?[] Windows(ConfigReader config, int layers, int? window, Func<int, bool> byDefault)
    {
        IReadOnlyList<string>? types = config.Texts("layer_types");
        if (types is not null && types.Count != layers)
            config.Reject("layer_types", $"{types.Count} entries", $"one for each of the {layers} layers");
        foreach (string type in types?.Distinct() ?? [])
            if (type is not ("full_attention" or "sliding_attention"))
                config.Reject("layer_types", $"\"{type}\"", "full_attention, sliding_attention");
        if (window is null && types?.Contains("sliding_attention") == true)
            config.Reject(
                "sliding_window", "missing", "a positive whole number, since layer_types names sliding_attention");
        return [.. Enumerable.Range(0, layers).Select(i =>
            (types is not null ? i < types.Count && types[i] == "sliding_attention" : byDefault(i)) ? window : null)];
    }

    /// <summary>RMS norm, rotary attention, RMS norm, gated feed-forward (or a replacement for it).</summary>
    public static PreNormBlock BuildBlock(
        WeightLoader weights, DecoderShape shape, int layer, bool normalizesHeads = false,
        IFeedForward? feedForward = null)
    {
        string path = $"model.layers.{layer}";
        RmsNorm Norm(string name, int width) => new(weights, name, width, shape.NormEpsilon);
        RmsNorm attentionNorm = Norm(path + ".input_layernorm", shape.HiddenSize);
        SeparateAttention attention = Attention(weights, path + ".self_attn", shape, layer,
            normalizesHeads ? new HeadNorms((name, _) => Norm(name, shape.HeadDimension)) : null);
        RmsNorm feedForwardNorm = Norm(path + ".post_attention_layernorm", shape.HiddenSize);
        return new PreNormBlock(attentionNorm, attention, feedForwardNorm,
            feedForward ?? new GatedFeedForward(weights, path + ".mlp", shape), shape.ResidualDropout,
            scale: shape.ResidualScale);
    }

    /// <summary>Attention with q_proj, k_proj, v_proj and an output layer under a path.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="shape">The model's sizes.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="norms">The normalisations of queries and keys; null for families without.</param>
    /// <param name="output">The name of the output layer.</param>
    public static SeparateAttention Attention(
        WeightLoader weights, string path, DecoderShape shape, int layer, HeadNorms? norms = null,
        string output = "o_proj")
    {
        int wide = shape.Heads * shape.HeadDimension, narrow = shape.KeyValueHeads * shape.HeadDimension;
        return new SeparateAttention(
            Linear.Load(weights, path + ".q_proj", shape.HiddenSize, wide, shape.AttentionBias),
            Linear.Load(weights, path + ".k_proj", shape.HiddenSize, narrow, shape.AttentionBias),
            Linear.Load(weights, path + ".v_proj", shape.HiddenSize, narrow, shape.AttentionBias),
            Linear.Load(weights, $"{path}.{output}", wide, shape.HiddenSize, shape.OutputBias),
            shape.HeadDimension, shape.Attention(layer), norms?.Build($"{path}.q_{norms.Name}", shape.Heads),
            norms?.Build($"{path}.k_{norms.Name}", shape.KeyValueHeads), norms?.OfAllHeads ?? false);
    }
}

/// <summary>The normalisations of queries and keys.</summary>
/// <param name="Build">Creates one from its path and the number of heads.</param>
/// <param name="Name">The ending of their paths, after <c>q_</c> and <c>k_</c>.</param>
/// <param name="OfAllHeads">Whether they normalise all heads as one vector instead of each head.</param>
internal sealed record HeadNorms(
    Func<string, int, INormalization> Build, string Name = "norm", bool OfAllHeads = false);
