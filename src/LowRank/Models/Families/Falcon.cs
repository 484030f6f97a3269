using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Falcon 1 and 2: one key-value head or groups of them in a fused layer, attention and feed-forward in
/// parallel, rotary positions or biases on the scores (arXiv 2311.16867).</summary>
internal sealed class Falcon : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "falcon";

    /// <inheritdoc/>
    public override string ClassPrefix => "Falcon";

    /// <inheritdoc/>
    public override string TokenClassifierPath => "classifier";

    /// <inheritdoc/>
    public override string BasePrefix => "transformer.";

    /// <inheritdoc/>
    public override string EmbeddingPath => "transformer.word_embeddings";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        int hidden = config.Positive("hidden_size"), heads = config.Positive("num_attention_heads"),
            layers = config.Layers("num_hidden_layers");
        if (hidden % heads != 0) config.Reject("hidden_size", hidden, $"a multiple of num_attention_heads ({heads})");
        bool grouped = config.FlagOr("new_decoder_architecture", false), bias = config.FlagOr("bias", false),
            sharesKeys = config.FlagOr("multi_query", true), alibi = config.FlagOr("alibi", false),
            parallel = config.FlagOr("parallel_attn", true);
        int groups = config.SizeOr("num_kv_heads", heads), keyValueHeads = grouped ? groups : sharesKeys ? 1 : heads;
        if (heads % keyValueHeads != 0)
            config.Reject("num_kv_heads", keyValueHeads, $"a divisor of num_attention_heads ({heads})");
        int norms = config.CountOr("num_ln_in_parallel_attn", grouped ? 2 : 1);
        if (norms > (grouped ? 2 : 1))
            config.Reject("num_ln_in_parallel_attn", norms, grouped ? "1 or 2" : "1 without new_decoder_architecture");
        if (grouped && !parallel)
            config.Reject("parallel_attn", "false", "true beside new_decoder_architecture");
        if (alibi && keyValueHeads != heads)
            config.Reject("alibi", "true", "false where heads share keys");
        foreach (string key in (string[])["hidden_dropout", "attention_dropout"]) // which transformers applies in part
            if (config.NumberOr(key, 0) != 0) config.Reject(key, config.NumberOr(key, 0), "0");
        int positions = config.PositiveOr("max_position_embeddings", 2048), dimension = Math.Max(hidden / heads, 1);
        RopeSettings rope = RopeReader.Read(config, dimension, positions);
        return new DecoderShape
        {
            VocabularySize = config.Positive("vocab_size"),
            HiddenSize = hidden,
            Layers = layers,
            Heads = heads,
            KeyValueHeads = keyValueHeads,
            HeadDimension = dimension,
            IntermediateSize = config.SizeOr("ffn_hidden_size", 4 * hidden),
            MaxPositions = positions,
            NormEpsilon = config.ShareOr("layer_norm_epsilon", 1e-5),
            Activation = Activation.Read(config, "activation", "gelu"),
            TieHead = config.FlagOr("tie_word_embeddings", true),
            AttentionBias = bias,
            OutputBias = bias,
            FeedForwardBias = bias,
            ParallelResidual = parallel,
            GroupsHeads = grouped,
            ParallelNorms = norms,
            Rope = alibi ? null : rope,
            Alibi = alibi ? new Alibi(heads, dimension, isFalcon: true) : null,
            Windows = new int?[layers],
            InitializerRange = config.ShareOr("initializer_range", 0.02),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"transformer.h.{layer}";
        int hidden = shape.HiddenSize, heads = shape.Heads, shared = shape.KeyValueHeads, width = shape.HeadDimension;
        LayerNorm Norm(string name) => new(weights, path + name, hidden, shape.NormEpsilon);
        var attention = new FusedAttention(
            Linear.Load(weights, path + ".self_attention.query_key_value", hidden, (heads + 2 * shared) * width,
                shape.AttentionBias),
            Linear.Load(weights, path + ".self_attention.dense", hidden, hidden, shape.OutputBias),
            shape.GroupsHeads ? FusedLayout.GroupByGroup(heads, shared, width)
            : shared < heads ? FusedLayout.Grouped(heads, shared, width) : FusedLayout.HeadByHead(heads, width),
            shape.Attention(layer));
        var feedForward = new PlainFeedForward(
            Linear.Load(weights, path + ".mlp.dense_h_to_4h", hidden, shape.IntermediateSize, shape.FeedForwardBias),
            Linear.Load(weights, path + ".mlp.dense_4h_to_h", shape.IntermediateSize, hidden, shape.FeedForwardBias),
            shape.Activation);
        if (!shape.ParallelResidual)
            return new PreNormBlock(
                Norm(".input_layernorm"), attention, Norm(".post_attention_layernorm"), feedForward, 0);
        return shape.ParallelNorms == 2
            ? new ParallelBlock(Norm(".ln_attn"), attention, Norm(".ln_mlp"), feedForward, 0)
            : new ParallelBlock(Norm(".input_layernorm"), attention, null, feedForward, 0);
    }

    /// <inheritdoc/>
    public override INormalization BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        new LayerNorm(weights, "transformer.ln_f", shape.HiddenSize, shape.NormEpsilon);

    /// <inheritdoc/>
    public override bool IsIgnorable(string name) => name.EndsWith(".inv_freq", StringComparison.Ordinal);
}
