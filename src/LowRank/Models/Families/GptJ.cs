using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>GPT-J: attention and feed-forward in parallel behind one norm, neighbouring pairs of a part of each head
/// rotated (Mesh Transformer JAX, 2021).</summary>
internal sealed class GptJ : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "gptj";

    /// <inheritdoc/>
    public override string ClassPrefix => "GPTJ";

    /// <inheritdoc/>
    public override IReadOnlyList<HeadKind> Heads =>
        [HeadKind.LanguageModel, HeadKind.SequenceClassification, HeadKind.None];

    /// <inheritdoc/>
    public override string BasePrefix => "transformer.";

    /// <inheritdoc/>
    public override string EmbeddingPath => "transformer.wte";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        int hidden = config.Positive("n_embd"), heads = config.Positive("n_head"), layers = config.Layers("n_layer"),
            positions = config.SizeOr("n_positions", 2048), dimension = Math.Max(hidden / heads, 1),
            rotated = config.SizeOr("rotary_dim", 64);
        if (hidden % heads != 0) config.Reject("n_embd", hidden, $"a multiple of n_head ({heads})");
        if (rotated % 2 != 0 || rotated > dimension)
            config.Reject("rotary_dim", rotated, $"an even number up to the width of a head ({dimension})");
        return new DecoderShape
        {
            VocabularySize = config.Positive("vocab_size"),
            HiddenSize = hidden,
            Layers = layers,
            Heads = heads,
            KeyValueHeads = heads,
            HeadDimension = dimension,
            IntermediateSize = config.SizeOr("n_inner", 4 * hidden),
            MaxPositions = positions,
            NormEpsilon = config.ShareOr("layer_norm_epsilon", 1e-5),
            Activation = Activation.Read(config, "activation_function", "gelu_new"),
            TieHead = config.FlagOr("tie_word_embeddings", false),
            HeadBias = true,
            FeedForwardBias = true,
            Rope = new RopeSettings("default", 10_000, rotated, positions) { IsInterleaved = true },
            Windows = new int?[layers],
            EmbeddingDropout = config.ShareOr("embd_pdrop", 0),
            AttentionDropout = config.ShareOr("attn_pdrop", 0),
            ResidualDropout = config.ShareOr("resid_pdrop", 0),
            InitializerRange = config.ShareOr("initializer_range", 0.02),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"transformer.h.{layer}";
        int hidden = shape.HiddenSize;
        return new ParallelBlock(
            new LayerNorm(weights, path + ".ln_1", hidden, shape.NormEpsilon),
            RotaryFamily.Attention(weights, path + ".attn", shape, layer, output: "out_proj"), null,
            new PlainFeedForward(
                Linear.Load(weights, path + ".mlp.fc_in", hidden, shape.IntermediateSize, bias: true),
                Linear.Load(weights, path + ".mlp.fc_out", shape.IntermediateSize, hidden, bias: true),
                shape.Activation),
            shape.ResidualDropout);
    }

    /// <inheritdoc/>
    public override INormalization BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        new LayerNorm(weights, "transformer.ln_f", shape.HiddenSize, shape.NormEpsilon);

    /// <inheritdoc/>
    // Old checkpoints store each layer's causal mask as a tensor.
    public override bool IsIgnorable(string name) => name.EndsWith(".attn.bias", StringComparison.Ordinal)
        || name.EndsWith(".attn.masked_bias", StringComparison.Ordinal);
}
