using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>BLOOM: positions as biases on the scores, a norm of the embeddings, GPT-NeoX's fused layer (arXiv
/// 2211.05100).</summary>
internal sealed class Bloom : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "bloom";

    /// <inheritdoc/>
    public override string ClassPrefix => "Bloom";

    /// <inheritdoc/>
    public override string TokenClassifierPath => "classifier";

    /// <inheritdoc/>
    public override string BasePrefix => "transformer.";

    /// <inheritdoc/>
    public override string EmbeddingPath => "transformer.word_embeddings";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        string Either(string first, string second) => config.Has(first) ? first : second;
        string width = Either("n_embed", "hidden_size"), headKey = Either("n_head", "num_attention_heads");
        int hidden = config.Positive(width), heads = config.Positive(headKey),
            layers = config.Layers(Either("n_layer", "num_hidden_layers"));
        if (hidden % heads != 0) config.Reject(width, hidden, $"a multiple of {headKey} ({heads})");
        if (config.FlagOr("apply_residual_connection_post_layernorm", false))
            config.Reject("apply_residual_connection_post_layernorm", "true", "false");
        return new DecoderShape
        {
            VocabularySize = config.Positive("vocab_size"),
            HiddenSize = hidden,
            Layers = layers,
            Heads = heads,
            KeyValueHeads = heads,
            HeadDimension = hidden / heads,
            IntermediateSize = 4 * hidden,
            MaxPositions = config.PositiveOr("seq_length", 2048),
            NormEpsilon = config.ShareOr("layer_norm_epsilon", 1e-5),
            Activation = "gelu_new",
            TieHead = config.FlagOr("tie_word_embeddings", true),
            AttentionBias = true,
            OutputBias = true,
            FeedForwardBias = true,
            Alibi = new Alibi(heads, hidden / heads, isFalcon: false),
            Windows = new int?[layers],
            AttentionDropout = config.ShareOr("attention_dropout", 0),
            ResidualDropout = config.ShareOr("hidden_dropout", 0),
            InitializerRange = config.ShareOr("initializer_range", 0.02),
        };
    }

    /// <inheritdoc/>
    public override INormalization BuildEmbeddingNorm(WeightLoader weights, DecoderShape shape) =>
        new LayerNorm(weights, "transformer.word_embeddings_layernorm", shape.HiddenSize, shape.NormEpsilon);

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"transformer.h.{layer}";
        int hidden = shape.HiddenSize;
        LayerNorm Norm(string name) => new(weights, path + name, hidden, shape.NormEpsilon);
        Linear Load(string name, int inputs, int outputs) => Linear.Load(weights, path + name, inputs, outputs, true);
        return new PreNormBlock(
            Norm(".input_layernorm"),
            new FusedAttention(
                Load(".self_attention.query_key_value", hidden, 3 * hidden),
                Load(".self_attention.dense", hidden, hidden),
                FusedLayout.HeadByHead(shape.Heads, shape.HeadDimension), shape.Attention(layer)),
            Norm(".post_attention_layernorm"),
            new PlainFeedForward(
                Load(".mlp.dense_h_to_4h", hidden, shape.IntermediateSize),
                Load(".mlp.dense_4h_to_h", shape.IntermediateSize, hidden), shape.Activation),
            shape.ResidualDropout);
    }

    /// <inheritdoc/>
    public override INormalization BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        new LayerNorm(weights, "transformer.ln_f", shape.HiddenSize, shape.NormEpsilon);
}
