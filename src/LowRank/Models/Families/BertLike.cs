using LowRank.Kernels;
using LowRank.Models.Layers;
using static TorchSharp.torch;

namespace LowRank.Models.Families;

/// <summary>Shared parts of BERT, RoBERTa and XLM-R: config keys, blocks and the simple heads.</summary>
internal static class BertLike
{
    /// <summary>Reads the keys that these families share.</summary>
    public static EncoderShape Read(ConfigReader config)
    {
        int hidden = config.Positive("hidden_size"), heads = config.Positive("num_attention_heads"),
            layers = config.Layers("num_hidden_layers");
        if (hidden % heads != 0)
            config.Reject("hidden_size", hidden, $"a multiple of num_attention_heads ({heads})");
        string positions = config.TextOr("position_embedding_type", "absolute");
        if (positions != "absolute") config.Reject("position_embedding_type", $"\"{positions}\"", "absolute");
        foreach (string key in new[] { "is_decoder", "add_cross_attention" })
            if (config.FlagOr(key, false)) config.Reject(key, "true", "false");
        int rows = config.SizeOr("max_position_embeddings", 512);
        double dropout = config.ShareOr("hidden_dropout_prob", 0.1);
        return new EncoderShape
        {
            VocabularySize = config.Positive("vocab_size"),
            HiddenSize = hidden,
            Layers = layers,
            Heads = heads,
            IntermediateSize = config.SizeOr("intermediate_size", 3072),
            MaxPositions = rows,
            PositionRows = rows,
            TokenTypes = config.SizeOr("type_vocab_size", 2),
            NormEpsilon = config.ShareOr("layer_norm_eps", 1e-12),
            Activation = Activation.Read(config, "hidden_act", "gelu"),
            Windows = new int?[layers],
            EmbeddingDropout = dropout,
            AttentionDropout = config.ShareOr("attention_probs_dropout_prob", 0.1),
            ResidualDropout = dropout,
            ClassifierDropout = config.ShareOr("classifier_dropout", dropout),
            TieHead = config.FlagOr("tie_word_embeddings", true),
            InitializerRange = config.ShareOr("initializer_range", 0.02),
        };
    }

    /// <summary>A block under <c>encoder.layer</c>: attention, norm, feed-forward, norm.</summary>
    public static PostNormBlock BuildBlock(WeightLoader weights, EncoderShape shape, string basePrefix, int layer)
    {
        string path = $"{basePrefix}encoder.layer.{layer}", attend = path + ".attention.self";
        int hidden = shape.HiddenSize;
        Linear Load(string name, int inputs, int outputs) =>
            Linear.Load(weights, name, inputs, outputs, bias: true);
        var attention =
            new SeparateAttention(Load(attend + ".query", hidden, hidden), Load(attend + ".key", hidden, hidden),
            Load(attend + ".value", hidden, hidden), Load(path + ".attention.output.dense", hidden, hidden),
            shape.HeadDimension, shape.Attention(layer));
        var attentionNorm = new LayerNorm(weights, path + ".attention.output.LayerNorm", hidden, shape.NormEpsilon);
        var feedForward = new PlainFeedForward(Load(path + ".intermediate.dense", hidden, shape.IntermediateSize),
            Load(path + ".output.dense", shape.IntermediateSize, hidden), shape.Activation);
        return new PostNormBlock(attention, attentionNorm, feedForward,
            new LayerNorm(weights, path + ".output.LayerNorm", hidden, shape.NormEpsilon), shape.ResidualDropout);
    }

    /// <summary>Dropout and one linear layer.</summary>
    public static Head LinearHead(
        WeightLoader weights, EncoderShape shape, HeadKind kind, string path, int outputs, double dropoutShare)
    {
        Linear output =
            Linear.LoadOrInitialize(weights, path, shape.HiddenSize, outputs, bias: true, shape.InitializerRange);
        return new Head(
            kind, [output], (states, dropout) => output.Forward(Dropout.Apply(states, dropoutShare, dropout), dropout));
    }

    /// <summary>A dense layer, an activation, dropout and the scores; optionally dropout before the dense
    /// layer.</summary>
    public static Head PooledHead(
        WeightLoader weights, EncoderShape shape, HeadRequest request, string densePath, string outputPath,
        Func<Tensor, Tensor> activation, bool dropsFirst)
    {
        Linear dense = Linear.LoadOrInitialize(
            weights, densePath, shape.HiddenSize, shape.HiddenSize, bias: true, shape.InitializerRange);
        Linear output = Linear.LoadOrInitialize(
            weights, outputPath, shape.HiddenSize, request.Labels, bias: true, shape.InitializerRange);
        return new Head(request.Kind, [dense, output], (states, dropout) =>
        {
            if (dropsFirst) states = Dropout.Apply(states, shape.ClassifierDropout, dropout);
            Tensor pooled = Dropout.Apply(activation(dense.Forward(states, dropout)), shape.ClassifierDropout, dropout);
            return output.Forward(pooled, dropout);
        });
    }

    /// <summary>The masked language model's head: a dense layer, an activation, a norm, and vocabulary scores with a
    /// bias and either the embedding's weight or their own.</summary>
    public static Head MaskedHead(
        WeightLoader weights, EncoderShape shape, Embedding embedding, MaskedHeadPaths paths, string activationName,
        double epsilon, bool denseBias = true, bool outputBias = true)
    {
        int hidden = shape.HiddenSize;
        Linear dense =
            Linear.LoadOrInitialize(weights, paths.Dense, hidden, hidden, denseBias, shape.InitializerRange);
        var norm = new LayerNorm(weights, paths.Norm, hidden, epsilon, shape.NormBias, shape.InitializerRange);
        Tensor? bias = outputBias ? weights.TakeOrDraw(BiasName(weights, shape, paths), 0, shape.VocabularySize) : null;
        string name = paths.Output + ".weight";
        Linear output = shape.TieHead && weights.IsShared(name, embedding.Path + ".weight")
            ? Linear.Tied(weights, paths.Output, embedding, bias)
            : Linear.OutputHead(weights, paths.Output, hidden, shape.VocabularySize, bias);
        Func<Tensor, Tensor> activation = Activation.Get(activationName);
        return new Head(HeadKind.LanguageModel, [dense, output], (states, dropout) =>
            output.Forward(norm.Forward(activation(dense.Forward(states, dropout))), dropout));
    }

    // The output's own bias; a config that ties the weight also ties this bias to the head's, as in transformers 5.12.
    private static string BiasName(WeightLoader weights, EncoderShape shape, MaskedHeadPaths paths)
    {
        string own = paths.Output + ".bias";
        if (!shape.TieHead) return own;
        weights.DeclareShared(paths.Bias, own);
        return weights.IsShared(own, paths.Bias) ? paths.Bias : own;
    }
}
