using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Models.Families;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>What a model computes from each of its states.</summary>
/// <param name="kind">What for.</param>
/// <param name="layers">Its linear layers, the last of which gives the scores.</param>
/// <param name="forward">[…, hidden] to […, scores], with the generator for dropout while training.</param>
public sealed class Head(HeadKind kind, IReadOnlyList<Linear> layers, Func<Tensor, Generator?, Tensor> forward)
{
    /// <summary>What for.</summary>
    public HeadKind Kind => kind;

    /// <summary>The layer that gives the scores.</summary>
    public Linear Output => layers[^1];

    /// <summary>All its linear layers.</summary>
    public IReadOnlyList<Linear> Layers => layers;

    /// <summary>[…, hidden] to […, scores].</summary>
    public Tensor Forward(Tensor states, Generator? dropout) => forward(states, dropout);
}

/// <summary>What a model computes from its states.</summary>
public enum HeadKind
{
    /// <summary>Scores of the vocabulary: causal for a decoder, masked for an encoder, of the target text for
    /// T5.</summary>
    LanguageModel,

    /// <summary>One vector of label scores for a text.</summary>
    SequenceClassification,

    /// <summary>A vector of label scores for each token.</summary>
    TokenClassification,

    /// <summary>For each token a score of beginning and one of ending the answer.</summary>
    QuestionAnswering,

    /// <summary>No head: the states themselves.</summary>
    None,
}

/// <summary>Whether a head that a checkpoint has is drawn anew.</summary>
public enum HeadRenewal
{
    /// <summary>It is taken as it is; one of another shape is an error.</summary>
    Never,

    /// <summary>Weights of another shape, as for another number of labels, are drawn; the others are taken.</summary>
    WhereOther,

    /// <summary>All of it is drawn.</summary>
    Always,
}

/// <summary>Which head a model is opened with.</summary>
/// <param name="Kind">The head.</param>
/// <param name="Labels">Scores it gives; counts for the two kinds of classification.</param>
/// <param name="Seed">Seed of its weights where the checkpoint has none.</param>
public sealed record HeadRequest(HeadKind Kind, int Labels = 2, long Seed = 42)
{
    /// <summary>Whether a head that the checkpoint has is drawn anew. Default: never.</summary>
    public HeadRenewal Renewal { get; init; }

    private static readonly (string Ending, HeadKind Kind)[] Architectures =
    [
        ("ForSequenceClassification", HeadKind.SequenceClassification),
        ("ForTokenClassification", HeadKind.TokenClassification),
        ("ForQuestionAnswering", HeadKind.QuestionAnswering),
        ("ForMaskedLM", HeadKind.LanguageModel),
        ("ForPreTraining", HeadKind.LanguageModel),
        ("ForCausalLM", HeadKind.LanguageModel),
        ("LMHeadModel", HeadKind.LanguageModel),
        ("ForConditionalGeneration", HeadKind.LanguageModel),
        ("Model", HeadKind.None),
    ];

    /// <summary>The head that a config names under <c>architectures</c>, else the family's usual one.</summary>
    public static HeadRequest Of(ConfigReader config, IModelFamily family)
    {
        string? name = config.Texts("architectures") is { Count: > 0 } names ? names[0] : null;
        HeadKind kind = name is null ? family.DefaultHead
            : Architectures.Where(entry => name.EndsWith(entry.Ending, StringComparison.Ordinal))
            .Select(entry => (HeadKind?)entry.Kind).FirstOrDefault() ?? family.DefaultHead;
        // A decoder's bare checkpoint is a language model whose head is its embedding, as it always was here.
        if (!family.Heads.Contains(kind) || (kind == HeadKind.None && family is DecoderFamily))
            kind = family.DefaultHead;
        return new HeadRequest(kind, LabelCount(config.Root));
    }

    /// <summary>The names of a config's labels in the order of their numbers; null where it has none.</summary>
    public static IReadOnlyList<string>? LabelNames(JsonObject config)
    {
        if (config["id2label"] is not JsonObject names || names.Count == 0) return null;
        if (!names.All(pair => int.TryParse(pair.Key, out _) && pair.Value?.GetValueKind() == JsonValueKind.String))
            return null;
        return [.. names.OrderBy(pair => int.Parse(pair.Key)).Select(pair => pair.Value!.GetValue<string>())];
    }

    private static int LabelCount(JsonObject config) => LabelNames(config)?.Count
        ?? (config["num_labels"] is JsonValue value && value.TryGetValue(out int count) && count > 0 ? count : 2);
}
