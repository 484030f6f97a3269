using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>What RoBERTa and XLM-R add to BERT: positions counted after the padding token, and their heads.</summary>
internal static class RobertaLike
{
    /// <summary>Path of the layer that scores the vocabulary.</summary>
    public const string OutputPath = "lm_head.decoder";

    /// <summary>Prefixes of the head tensors.</summary>
    public static IReadOnlyList<string> HeadPrefixes { get; } =
        ["lm_head.", "classifier.", "qa_outputs.", "roberta.pooler.", "pooler."];

    /// <summary>BERT's keys, with positions that start after the padding token's id.</summary>
    public static EncoderShape Read(ConfigReader config)
    {
        int padding = config.TokenOr("pad_token_id", 1);
        EncoderShape shape = BertLike.Read(config);
        if (shape.PositionRows <= padding + 1)
            config.Reject(
                "max_position_embeddings", shape.PositionRows,
                $"more than pad_token_id + 1 ({padding + 1})");
        return shape with { PositionPadding = padding, MaxPositions = Math.Max(1, shape.PositionRows - padding - 1) };
    }

    /// <summary>Builds a head.</summary>
    public static Head BuildHead(WeightLoader weights, EncoderShape shape, HeadRequest request, Embedding embedding) =>
        request.Kind switch
    {
        HeadKind.SequenceClassification =>
            BertLike.PooledHead(
                weights, shape, request, "classifier.dense", "classifier.out_proj", states =>
                states.tanh(), dropsFirst: true),
        HeadKind.TokenClassification =>
            BertLike.LinearHead(weights, shape, request.Kind, "classifier", request.Labels, shape.ClassifierDropout),
        HeadKind.QuestionAnswering => BertLike.LinearHead(weights, shape, request.Kind, "qa_outputs", 2, 0),
        _ => BertLike.MaskedHead(weights, shape, embedding,
            new MaskedHeadPaths("lm_head.dense", "lm_head.layer_norm", OutputPath, "lm_head.bias"), "gelu",
                shape.NormEpsilon),
    };
}

/// <summary>RoBERTa (arXiv 1907.11692).</summary>
internal sealed class Roberta : EncoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "roberta";

    /// <inheritdoc/>
    public override string ClassPrefix => "Roberta";

    /// <inheritdoc/>
    public override string BasePrefix => "roberta.";

    /// <inheritdoc/>
    public override string OutputPath => RobertaLike.OutputPath;

    /// <inheritdoc/>
    public override IReadOnlyList<string> HeadPrefixes => RobertaLike.HeadPrefixes;

    /// <inheritdoc/>
    public override EncoderShape Read(ConfigReader config) => RobertaLike.Read(config);

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, EncoderShape shape, int layer) =>
        BertLike.BuildBlock(weights, shape, BasePrefix, layer);

    /// <inheritdoc/>
    public override Head BuildHead(
        WeightLoader weights, EncoderShape shape, HeadRequest request, Embedding embedding) =>
        RobertaLike.BuildHead(weights, shape, request, embedding);
}

/// <summary>XLM-R: RoBERTa for a hundred languages (arXiv 1911.02116).</summary>
internal sealed class XlmRoberta : EncoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "xlm-roberta";

    /// <inheritdoc/>
    public override string ClassPrefix => "XLMRoberta";

    /// <inheritdoc/>
    public override string BasePrefix => "roberta.";

    /// <inheritdoc/>
    public override string OutputPath => RobertaLike.OutputPath;

    /// <inheritdoc/>
    public override IReadOnlyList<string> HeadPrefixes => RobertaLike.HeadPrefixes;

    /// <inheritdoc/>
    public override EncoderShape Read(ConfigReader config) => RobertaLike.Read(config);

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, EncoderShape shape, int layer) =>
        BertLike.BuildBlock(weights, shape, BasePrefix, layer);

    /// <inheritdoc/>
    public override Head BuildHead(
        WeightLoader weights, EncoderShape shape, HeadRequest request, Embedding embedding) =>
        RobertaLike.BuildHead(weights, shape, request, embedding);
}
