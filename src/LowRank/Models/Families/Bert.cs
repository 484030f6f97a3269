using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>BERT (arXiv 1810.04805).</summary>
internal sealed class Bert : EncoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "bert";

    /// <inheritdoc/>
    public override string ClassPrefix => "Bert";

    /// <inheritdoc/>
    public override string BasePrefix => "bert.";

    /// <inheritdoc/>
    public override string OutputPath => "cls.predictions.decoder";

    /// <inheritdoc/>
    public override IReadOnlyList<string> HeadPrefixes { get; } =
        ["cls.", "classifier.", "qa_outputs.", "bert.pooler.", "pooler."];

    /// <inheritdoc/>
    public override EncoderShape Read(ConfigReader config) => BertLike.Read(config);

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, EncoderShape shape, int layer) =>
        BertLike.BuildBlock(weights, shape, BasePrefix, layer);

    /// <inheritdoc/>
    public override Head BuildHead(
        WeightLoader weights, EncoderShape shape, HeadRequest request, Embedding embedding) => request.Kind switch
    {
        HeadKind.SequenceClassification =>
            BertLike.PooledHead(
                weights, shape, request, "bert.pooler.dense", "classifier", states => states.tanh(), dropsFirst: false),
        HeadKind.TokenClassification =>
            BertLike.LinearHead(weights, shape, request.Kind, "classifier", request.Labels, shape.ClassifierDropout),
        HeadKind.QuestionAnswering => BertLike.LinearHead(weights, shape, request.Kind, "qa_outputs", 2, 0),
        _ => BertLike.MaskedHead(weights, shape, embedding, new MaskedHeadPaths("cls.predictions.transform.dense",
            "cls.predictions.transform.LayerNorm", OutputPath, "cls.predictions.bias"), shape.Activation,
                shape.NormEpsilon),
    };
}
