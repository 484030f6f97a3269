using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>OPT: learned positions that start at row 2, biases everywhere; the 350 M model has its norms after each
/// part and a narrower embedding (arXiv 2205.01068).</summary>
internal sealed class Opt : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "opt";

    /// <inheritdoc/>
    public override string ClassPrefix => "OPT";

    /// <inheritdoc/>
    public override IReadOnlyList<HeadKind> Heads =>
        [HeadKind.LanguageModel, HeadKind.SequenceClassification, HeadKind.None];

    /// <inheritdoc/>
    public override string EmbeddingPath => "model.decoder.embed_tokens";

    /// <inheritdoc/>
    public override string PositionEmbeddingPath => "model.decoder.embed_positions";

    /// <inheritdoc/>
    public override string InputLinearPath => "model.decoder.project_in";

    /// <inheritdoc/>
    public override string OutputLinearPath => "model.decoder.project_out";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        int hidden = config.Positive("hidden_size"), heads = config.Positive("num_attention_heads"),
            layers = config.Layers("num_hidden_layers");
        if (hidden % heads != 0)
            config.Reject("hidden_size", hidden, $"a multiple of num_attention_heads ({heads})");
        if (config.NumberOr("layerdrop", 0) != 0)
            config.Reject("layerdrop", config.NumberOr("layerdrop", 0), "0");
        int embedding = config.SizeOr("word_embed_proj_dim", hidden);
        bool bias = config.FlagOr("enable_bias", true);
        return new DecoderShape
        {
            VocabularySize = config.Positive("vocab_size"),
            HiddenSize = hidden,
            EmbeddingSize = embedding == hidden ? null : embedding,
            Layers = layers,
            Heads = heads,
            KeyValueHeads = heads,
            HeadDimension = hidden / heads,
            IntermediateSize = config.SizeOr("ffn_dim", 3072),
            MaxPositions = config.SizeOr("max_position_embeddings", 2048),
            PositionOffset = 2,
            NormEpsilon = 1e-5,
            NormsHaveWeights = config.FlagOr("layer_norm_elementwise_affine", true),
            NormsAfter = !config.FlagOr("do_layer_norm_before", true),
            HasFinalNorm = !config.FlagOr("_remove_final_layer_norm", false)
            && config.FlagOr("do_layer_norm_before", true),
            Activation = Activation.Read(config, "activation_function", "relu"),
            TieHead = config.FlagOr("tie_word_embeddings", true),
            AttentionBias = bias,
            OutputBias = bias,
            FeedForwardBias = bias,
            Windows = new int?[layers],
            AttentionDropout = config.ShareOr("attention_dropout", 0),
            ResidualDropout = config.ShareOr("dropout", 0.1),
            InitializerRange = config.ShareOr("init_std", 0.02),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"model.decoder.layers.{layer}", attend = path + ".self_attn";
        int hidden = shape.HiddenSize;
        Linear Square(string name, bool bias) => Linear.Load(weights, attend + name, hidden, hidden, bias);
        var attention =
            new SeparateAttention(Square(".q_proj", shape.AttentionBias), Square(".k_proj", shape.AttentionBias),
            Square(".v_proj", shape.AttentionBias), Square(".out_proj", shape.OutputBias), shape.HeadDimension,
            shape.Attention(layer));
        LayerNorm attentionNorm = Norm(weights, path + ".self_attn_layer_norm", shape);
        var feedForward = new PlainFeedForward(
            Linear.Load(weights, path + ".fc1", hidden, shape.IntermediateSize, shape.FeedForwardBias),
            Linear.Load(weights, path + ".fc2", shape.IntermediateSize, hidden, shape.FeedForwardBias),
            shape.Activation);
        LayerNorm feedForwardNorm = Norm(weights, path + ".final_layer_norm", shape);
        return shape.NormsAfter
            ? new PostNormBlock(attention, attentionNorm, feedForward, feedForwardNorm, shape.ResidualDropout)
            : new PreNormBlock(attentionNorm, attention, feedForwardNorm, feedForward, shape.ResidualDropout);
    }

    /// <inheritdoc/>
    public override INormalization? BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        shape.HasFinalNorm ? Norm(weights, "model.decoder.final_layer_norm", shape) : null;

    private static LayerNorm Norm(WeightLoader weights, string path, DecoderShape shape) =>
        new(weights, path, shape.HiddenSize, shape.NormEpsilon, shape.NormsHaveWeights, shape.NormsHaveWeights);
}
