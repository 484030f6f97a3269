using LowRank.Kernels;
using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>ModernBERT: rotary positions, gated feed-forward layers, windows in two of every three layers (arXiv
/// 2412.13663).</summary>
internal sealed class ModernBert : EncoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "modernbert";

    /// <inheritdoc/>
    public override string ClassPrefix => "ModernBert";

    /// <inheritdoc/>
    public override string BasePrefix => "model.";

    /// <inheritdoc/>
    public override string EmbeddingPath => "model.embeddings.tok_embeddings";

    /// <inheritdoc/>
    public override string EmbeddingNormPath => "model.embeddings.norm";

    /// <inheritdoc/>
    public override string OutputPath => "decoder";

    /// <inheritdoc/>
    public override IReadOnlyList<string> HeadPrefixes { get; } = ["head.", "decoder.", "classifier."];

    /// <inheritdoc/>
    public override EncoderShape Read(ConfigReader config)
    {
        int hidden = config.Positive("hidden_size"), heads = config.Positive("num_attention_heads"),
            layers = config.Layers("num_hidden_layers");
        if (hidden % heads != 0)
            config.Reject("hidden_size", hidden, $"a multiple of num_attention_heads ({heads})");
        int dimension = Math.Max(hidden / heads, 1), positions = config.PositiveOr("max_position_embeddings", 8192);
        int every = config.PositiveOr("global_attn_every_n_layers", 3);
        int window = config.PositiveOr("local_attention", 128) / 2 + 1; // so many on either side, its own included
        string pooling = config.TextOr("classifier_pooling", "cls");
        if (pooling is not ("cls" or "mean")) config.Reject("classifier_pooling", $"\"{pooling}\"", "cls, mean");
        return new EncoderShape
        {
            VocabularySize = config.Positive("vocab_size"),
            HiddenSize = hidden,
            Layers = layers,
            Heads = heads,
            IntermediateSize = config.SizeOr("intermediate_size", 1152),
            MaxPositions = positions,
            NormEpsilon = config.ShareOr("norm_eps", 1e-5),
            NormBias = config.FlagOr("norm_bias", false),
            Activation = Activation.Read(config, "hidden_activation", "gelu"),
            HeadActivation = Activation.Read(config, "classifier_activation", "gelu"),
            HeadBias = config.FlagOr("classifier_bias", false),
            OutputBias = config.FlagOr("decoder_bias", true),
            Rope = RopeReader.Read(
                config, "full_attention", dimension, positions, scales: true,
                new RopeDefaults(160_000, "global_rope_theta")),
            LocalRope = RopeReader.Read(
                config, "sliding_attention", dimension, positions, scales: true,
                new RopeDefaults(10_000, "local_rope_theta")),
            Windows = RotaryFamily.Windows(config, layers, window, layer => layer % every != 0),
            AttentionBias = config.FlagOr("attention_bias", false),
            FeedForwardBias = config.FlagOr("mlp_bias", false),
            EmbeddingDropout = config.ShareOr("embedding_dropout", 0),
            AttentionDropout = config.ShareOr("attention_dropout", 0),
            FeedForwardDropout = config.ShareOr("mlp_dropout", 0),
            ClassifierDropout = config.ShareOr("classifier_dropout", 0),
            Pooling = pooling == "mean" ? Pooling.Mean : Pooling.First,
            TieHead = config.FlagOr("tie_word_embeddings", true),
            InitializerRange = config.ShareOr("initializer_range", 0.02),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, EncoderShape shape, int layer)
    {
        string path = $"model.layers.{layer}";
        int hidden = shape.HiddenSize;
        // The embedding is already normalised, so the first layer has no norm.
        INormalization? attentionNorm = layer == 0 ? null : Norm(weights, path + ".attn_norm", shape);
        var attention = new FusedAttention(
            Linear.Load(weights, path + ".attn.Wqkv", hidden, 3 * hidden, shape.AttentionBias),
            Linear.Load(weights, path + ".attn.Wo", hidden, hidden, shape.AttentionBias),
            FusedLayout.Stacked(shape.Heads, shape.HeadDimension), shape.Attention(layer));
        LayerNorm feedForwardNorm = Norm(weights, path + ".mlp_norm", shape);
        var feedForward = new FusedGatedFeedForward(
            Linear.Load(weights, path + ".mlp.Wi", hidden, 2 * shape.IntermediateSize, shape.FeedForwardBias),
            Linear.Load(weights, path + ".mlp.Wo", shape.IntermediateSize, hidden, shape.FeedForwardBias),
            shape.Activation, shape.FeedForwardDropout);
        return new PreNormBlock(
            attentionNorm, attention, feedForwardNorm, feedForward, shape.AttentionDropout, feedForwardDropout: 0);
    }

    /// <inheritdoc/>
    public override INormalization BuildFinalNorm(WeightLoader weights, EncoderShape shape) =>
        Norm(weights, "model.final_norm", shape);

    /// <inheritdoc/>
    public override Head BuildHead(WeightLoader weights, EncoderShape shape, HeadRequest request, Embedding embedding)
    {
        if (request.Kind == HeadKind.LanguageModel)
            return BertLike.MaskedHead(
                weights, shape, embedding,
                new MaskedHeadPaths("head.dense", "head.norm", OutputPath, OutputPath + ".bias"),
                shape.HeadActivation, shape.NormEpsilon, shape.HeadBias, shape.OutputBias);
        int hidden = shape.HiddenSize, outputs = request.Kind == HeadKind.QuestionAnswering ? 2 : request.Labels;
        Linear dense =
            Linear.LoadOrInitialize(weights, "head.dense", hidden, hidden, shape.HeadBias, shape.InitializerRange);
        var norm = new LayerNorm(
            weights, "head.norm", hidden, shape.NormEpsilon, shape.NormBias, shape.InitializerRange);
        Linear output =
            Linear.LoadOrInitialize(weights, "classifier", hidden, outputs, bias: true, 1 / Math.Sqrt(hidden));
        Func<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor> activation = Activation.Get(shape.HeadActivation);
        return new Head(request.Kind, [dense, output], (states, dropout) =>
            output.Forward(
                Dropout.Apply(
                    norm.Forward(activation(dense.Forward(states, dropout))), shape.ClassifierDropout, dropout),
                    dropout));
    }

    private static LayerNorm Norm(WeightLoader weights, string path, EncoderShape shape) =>
        new(weights, path, shape.HiddenSize, shape.NormEpsilon, hasBias: shape.NormBias);
}
