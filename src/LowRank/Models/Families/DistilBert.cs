using LowRank.Models.Layers;
using static TorchSharp.torch;

namespace LowRank.Models.Families;

/// <summary>DistilBERT: half of BERT's layers and no text types (arXiv 1910.01108).</summary>
internal sealed class DistilBert : EncoderFamily
{
    private const double Epsilon = 1e-12; // written in transformers' code, not in the config

    /// <inheritdoc/>
    public override string ModelType => "distilbert";

    /// <inheritdoc/>
    public override string ClassPrefix => "DistilBert";

    /// <inheritdoc/>
    public override string BasePrefix => "distilbert.";

    /// <inheritdoc/>
    public override string OutputPath => "vocab_projector";

    /// <inheritdoc/>
    public override IReadOnlyList<string> HeadPrefixes { get; } =
        ["vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "pre_classifier.", "classifier.", "qa_outputs."];

    /// <inheritdoc/>
    public override EncoderShape Read(ConfigReader config)
    {
        int hidden = config.Positive("dim"), heads = config.Positive("n_heads"), layers = config.Layers("n_layers");
        if (hidden % heads != 0) config.Reject("dim", hidden, $"a multiple of n_heads ({heads})");
        int rows = config.SizeOr("max_position_embeddings", 512);
        double dropout = config.ShareOr("dropout", 0.1);
        return new EncoderShape
        {
            VocabularySize = config.Positive("vocab_size"),
            HiddenSize = hidden,
            Layers = layers,
            Heads = heads,
            IntermediateSize = config.SizeOr("hidden_dim", 4 * hidden),
            MaxPositions = rows,
            PositionRows = rows,
            NormEpsilon = Epsilon,
            Activation = Activation.Read(config, "activation", "gelu"),
            Windows = new int?[layers],
            EmbeddingDropout = dropout,
            AttentionDropout = config.ShareOr("attention_dropout", 0.1),
            // Dropout applies to the output of the feed-forward layer but not to the attention's.
            FeedForwardDropout = dropout,
            ClassifierDropout = config.ShareOr("seq_classif_dropout", 0.2),
            TokenDropout = dropout,
            AnswerDropout = config.ShareOr("qa_dropout", 0.1),
            TieHead = config.FlagOr("tie_word_embeddings", true),
            InitializerRange = config.ShareOr("initializer_range", 0.02),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, EncoderShape shape, int layer)
    {
        string path = $"distilbert.transformer.layer.{layer}", attend = path + ".attention";
        int hidden = shape.HiddenSize;
        Linear Load(string name, int inputs, int outputs) =>
            Linear.Load(weights, name, inputs, outputs, bias: true);
        var attention =
            new SeparateAttention(Load(attend + ".q_lin", hidden, hidden), Load(attend + ".k_lin", hidden, hidden),
            Load(attend + ".v_lin", hidden, hidden), Load(attend + ".out_lin", hidden, hidden), shape.HeadDimension,
            shape.Attention(layer));
        var attentionNorm = new LayerNorm(weights, path + ".sa_layer_norm", hidden, shape.NormEpsilon);
        var feedForward = new PlainFeedForward(Load(path + ".ffn.lin1", hidden, shape.IntermediateSize),
            Load(path + ".ffn.lin2", shape.IntermediateSize, hidden), shape.Activation);
        return new PostNormBlock(attention, attentionNorm, feedForward,
            new LayerNorm(weights, path + ".output_layer_norm", hidden, shape.NormEpsilon), dropout: 0,
                shape.FeedForwardDropout);
    }

    /// <inheritdoc/>
    public override Head BuildHead(
        WeightLoader weights, EncoderShape shape, HeadRequest request, Embedding embedding) => request.Kind switch
    {
        HeadKind.SequenceClassification =>
            BertLike.PooledHead(
                weights, shape, request, "pre_classifier", "classifier", states =>
                nn.functional.relu(states), dropsFirst: false),
        HeadKind.TokenClassification =>
            BertLike.LinearHead(weights, shape, request.Kind, "classifier", request.Labels, shape.TokenDropout),
        HeadKind.QuestionAnswering =>
            BertLike.LinearHead(weights, shape, request.Kind, "qa_outputs", 2, shape.AnswerDropout),
        _ => BertLike.MaskedHead(weights, shape, embedding,
            new MaskedHeadPaths("vocab_transform", "vocab_layer_norm", OutputPath, OutputPath + ".bias"),
                shape.Activation, Epsilon),
    };
}
