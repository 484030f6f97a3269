using LowRank.IO.Gguf;
using LowRank.Models.Families;

namespace LowRank.Models.Gguf;

/// <summary>An encoder's head for labels of whole texts, as llama.cpp computes it in place of a pooling ("rank"): the
/// first token's state or the mean, a dense layer, an activation, perhaps a norm, and the labels' scores.</summary>
/// <remarks>llama.cpp's converter leaves out BERT's pooler, without which such a head scores wrongly.</remarks>
internal static class GgufClassifier
{
    private const uint Mean = 1, First = 2, Rank = 4; // llama.cpp's numbers of poolings

    /// <summary>Adds a head's keys.</summary>
    /// <returns>Its tensors; none if the config asks for no such head, or llama.cpp has none like it.</returns>
    public static IReadOnlyList<GgufWeight> Add(
        ConfigReader config, EncoderFamily family, EncoderShape shape, GgufMetadata keys, string name)
    {
        HeadRequest head = HeadRequest.From(config, family);
        if (head.Kind != HeadKind.SequenceClassification || Paths(family) is not { } paths) return [];
        string activation = family is ModernBert ? shape.HeadActivation : "tanh";
        // Its gelu is exact here.
        if (activation is not ("gelu" or "silu" or "tanh")) return [];
        keys.Set(name + ".pooling_type", Rank)
            .Set(name + ".classifier.pooling_type", shape.Pooling == Pooling.Mean ? Mean : First)
            .Set(name + ".classifier.activation", activation)
            .Set(name + ".classifier.output_labels", Labels(config, head.Labels));
        IEnumerable<GgufWeight> norm = family is ModernBert ? GgufDecoderWeights.Both("cls.norm", "head.norm") : [];
        return [.. GgufDecoderWeights.Both("cls", paths.Dense), .. norm, .. GgufDecoderWeights.Both("cls.output",
            paths.Output)];
    }

    // DistilBERT's head has a relu, which llama.cpp's has not.
    private static (string Dense, string Output)? Paths(EncoderFamily family) => family.ModelType switch
    {
        "bert" => (family.BasePrefix + "pooler.dense", "classifier"),
        "roberta" or "xlm-roberta" => ("classifier.dense", "classifier.out_proj"),
        "modernbert" => ("head.dense", "classifier"),
        _ => null,
    };

    private static string[] Labels(ConfigReader config, int count) =>
        HeadRequest.LabelNames(config.Root) is { } names ? [.. names]
            : [.. Enumerable.Range(0, count).Select(label => $"LABEL_{label}")];
}
