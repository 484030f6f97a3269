using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>GPT-2: learned positions, one layer for query, key and value, weights stored [in, out].</summary>
internal sealed class Gpt2 : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "gpt2";

    /// <inheritdoc/>
    public override string ClassPrefix => "GPT2";

    /// <inheritdoc/>
    public override string TokenClassifierPath => "classifier";

    /// <inheritdoc/>
    public override string ClassName(HeadKind head) => head == HeadKind.LanguageModel ? "GPT2LMHeadModel"
        : base.ClassName(head);

    /// <inheritdoc/>
    public override string BasePrefix => "transformer.";

    /// <inheritdoc/>
    public override string EmbeddingPath => "transformer.wte";

    /// <inheritdoc/>
    public override string PositionEmbeddingPath => "transformer.wpe";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        int hidden = config.Positive("n_embd"), heads = config.Positive("n_head"), layers = config.Layers("n_layer");
        if (hidden % heads != 0) config.Reject("n_embd", hidden, $"a multiple of n_head ({heads})");
        string activation = Activation.Read(config, "activation_function", "gelu_new");
        if (!config.FlagOr("scale_attn_weights", true)) config.Reject("scale_attn_weights", "false", "true");
        if (config.FlagOr("scale_attn_by_inverse_layer_idx", false))
            config.Reject("scale_attn_by_inverse_layer_idx", "true", "false");
        if (config.FlagOr("add_cross_attention", false)) config.Reject("add_cross_attention", "true", "false");
        return new DecoderShape
        {
            VocabularySize = config.Positive("vocab_size"),
            HiddenSize = hidden,
            Layers = layers,
            Heads = heads,
            KeyValueHeads = heads,
            HeadDimension = hidden / heads,
            IntermediateSize = config.SizeOr("n_inner", 4 * hidden),
            MaxPositions = config.SizeOr("n_positions", 1024),
            NormEpsilon = config.ShareOr("layer_norm_epsilon", 1e-5),
            Activation = activation,
            TieHead = config.FlagOr("tie_word_embeddings", true),
            AttentionBias = true,
            OutputBias = true,
            FeedForwardBias = true,
            Windows = new int?[layers],
            EmbeddingDropout = config.ShareOr("embd_pdrop", 0.1),
            AttentionDropout = config.ShareOr("attn_pdrop", 0.1),
            ResidualDropout = config.ShareOr("resid_pdrop", 0.1),
            InitializerRange = config.ShareOr("initializer_range", 0.02),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"transformer.h.{layer}";
        int hidden = shape.HiddenSize;
        var attentionNorm = new LayerNorm(weights, path + ".ln_1", hidden, shape.NormEpsilon);
        var attention = new FusedAttention(
            Linear.Conv1D(weights, path + ".attn.c_attn", hidden, 3 * hidden),
            Linear.Conv1D(weights, path + ".attn.c_proj", hidden, hidden),
            FusedLayout.Stacked(shape.Heads, shape.HeadDimension), shape.Attention(layer));
        var feedForwardNorm = new LayerNorm(weights, path + ".ln_2", hidden, shape.NormEpsilon);
        var feedForward = new PlainFeedForward(
            Linear.Conv1D(weights, path + ".mlp.c_fc", hidden, shape.IntermediateSize),
            Linear.Conv1D(weights, path + ".mlp.c_proj", shape.IntermediateSize, hidden), shape.Activation);
        return new PreNormBlock(attentionNorm, attention, feedForwardNorm, feedForward, shape.ResidualDropout);
    }

    /// <inheritdoc/>
    public override INormalization BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        new LayerNorm(weights, "transformer.ln_f", shape.HiddenSize, shape.NormEpsilon);

    /// <inheritdoc/>
    // Old checkpoints store each layer's causal mask as a tensor.
    public override bool IsIgnorable(string name) =>
        name.EndsWith(".attn.bias", StringComparison.Ordinal)
            || name.EndsWith(".attn.masked_bias", StringComparison.Ordinal);
}
