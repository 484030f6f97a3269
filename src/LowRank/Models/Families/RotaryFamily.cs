using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>The common ground of the llama-like families: shared config keys and the composition of a block.</summary>
internal static class RotaryFamily
{
    /// <summary>Reads the keys that these families share.</summary>
    /// <param name="config">The config.</param>
    /// <param name="headDimension">The family's width of a head when the key head_dim is missing; null for hidden / heads.</param>
    public static DecoderShape Read(ConfigReader config, int? headDimension = null)
    {
        int hidden = config.Positive("hidden_size"), heads = config.Positive("num_attention_heads");
        int layers = config.Positive("num_hidden_layers");
        int keyValueHeads = config.PositiveOr("num_key_value_heads", heads);
        if (heads % keyValueHeads != 0)
            config.Reject("num_key_value_heads", keyValueHeads.ToString(), $"a divisor of num_attention_heads ({heads})");
        int dimension = config.PositiveOr("head_dim", headDimension ?? Math.Max(hidden / heads, 1));
        if (!config.Has("head_dim") && headDimension is null && hidden % heads != 0)
            config.Reject("hidden_size", hidden.ToString(), $"a multiple of num_attention_heads ({heads})");
        int maxPositions = config.PositiveOr("max_position_embeddings", 2048);
        string activation = config.TextOr("hidden_act", "silu");
        if (!Activation.Names.Contains(activation))
            config.Reject("hidden_act", $"\"{activation}\"", string.Join(", ", Activation.Names));
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
            NormEpsilon = config.NumberOr("rms_norm_eps", 1e-6),
            Activation = activation,
            TieHead = config.FlagOr("tie_word_embeddings", false),
            Rope = RopeReader.Read(config, dimension, maxPositions),
            Windows = new int?[layers],
            AttentionDropout = config.NumberOr("attention_dropout", 0),
            InitializerRange = config.NumberOr("initializer_range", 0.02),
        };
    }

    /// <summary>Which layers attend in a window: by <c>layer_types</c> when it is there, else by <paramref name="byDefault"/>.</summary>
    public static int?[] Windows(ConfigReader config, int layers, int? window, Func<int, bool> byDefault)
    {
        IReadOnlyList<string>? types = config.Texts("layer_types");
        if (types is not null && types.Count != layers)
            config.Reject("layer_types", $"{types.Count} entries", $"one for each of the {layers} layers");
        foreach (string type in types?.Distinct() ?? [])
            if (type is not ("full_attention" or "sliding_attention"))
                config.Reject("layer_types", $"\"{type}\"", "full_attention, sliding_attention");
        if (window is null && types?.Contains("sliding_attention") == true)
            config.Reject("sliding_window", "missing", "a positive whole number, since layer_types names sliding_attention");
        return [.. Enumerable.Range(0, layers).Select(i =>
            (types is not null ? i < types.Count && types[i] == "sliding_attention" : byDefault(i)) ? window : null)];
    }

    /// <summary>RMS norm, rotary attention, RMS norm, gated feed-forward.</summary>
    public static DecoderBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer, bool normalizesHeads = false)
    {
        string path = $"model.layers.{layer}";
        RmsNorm Norm(string name, int width) => new(weights, name, width, shape.NormEpsilon);
        RmsNorm attentionNorm = Norm(path + ".input_layernorm", shape.HiddenSize);
        var attention = new RotaryAttention(weights, path + ".self_attn", shape, layer,
            normalizesHeads ? name => Norm(name, shape.HeadDimension) : null);
        RmsNorm feedForwardNorm = Norm(path + ".post_attention_layernorm", shape.HiddenSize);
        return new DecoderBlock(attentionNorm, attention, feedForwardNorm,
            new GatedFeedForward(weights, path + ".mlp", shape), shape.ResidualDropout);
    }
}
