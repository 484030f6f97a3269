using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>XLM-R: RoBERTa in a hundred languages (arXiv 1911.02116).</summary>
public sealed class XlmRoberta : EncoderFamily
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
    public override IBlock BuildBlock(WeightLoader weights, EncoderShape shape, int layer) => BertLike.BuildBlock(weights, shape, BasePrefix, layer);

    /// <inheritdoc/>
    public override Head BuildHead(WeightLoader weights, EncoderShape shape, HeadRequest request, Embedding embedding) =>
        RobertaLike.BuildHead(weights, shape, request, embedding);
}
