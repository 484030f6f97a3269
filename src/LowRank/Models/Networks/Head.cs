using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Models.Families;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>What a model computes from its states.</summary>
/// <param name="kind">The head's purpose.</param>
/// <param name="layers">Its linear layers; the last one outputs the scores.</param>
/// <param name="forward">[…, hidden] to […, scores], with the generator for dropout while training.</param>
public sealed class Head(HeadKind kind, IReadOnlyList<Linear> layers, Func<Tensor, Generator?, Tensor> forward)
{
    /// <summary>The head's purpose.</summary>
    public HeadKind Kind => kind;

    /// <summary>The layer that outputs the scores.</summary>
    public Linear Output => layers[^1];

    /// <summary>All its linear layers.</summary>
    public IReadOnlyList<Linear> Layers => layers;

    /// <summary>[…, hidden] to […, scores].</summary>
    public Tensor Forward(Tensor states, Generator? dropout) => forward(states, dropout);
}

/// <summary>The purpose of a head.</summary>
public enum HeadKind
{
    /// <summary>Vocabulary scores: causal for a decoder, masked for an encoder, of the target text for T5.</summary>
    LanguageModel,

    /// <summary>One vector of label scores per text.</summary>
    SequenceClassification,

    /// <summary>One vector of label scores per token.</summary>
    TokenClassification,

    /// <summary>For each token, one score for the start and one for the end of the answer.</summary>
    QuestionAnswering,

    /// <summary>No head: the states themselves.</summary>
    None,
}

/// <summary>The head that a model is opened with.</summary>
/// <param name="Kind">The head's purpose.</param>
/// <param name="Labels">Number of scores; only for the two kinds of classification.</param>
/// <param name="Seed">Seed for weights that the checkpoint lacks.</param>
public sealed record HeadRequest(HeadKind Kind, int Labels = 2, long Seed = 42)
{
    /// <summary>Whether the checkpoint's head is initialised anew. Default: never.</summary>
    internal HeadRenewal Renewal { get; init; }

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

    /// <summary>The head that a config specifies under <c>architectures</c>, otherwise the family's default.</summary>
    public static HeadRequest From(ConfigReader config, IModelFamily family)
    {
        string? name = config.Texts("architectures") is { Count: > 0 } names ? names[0] : null;
        HeadKind kind = name is null ? family.DefaultHead
            : Architectures.Where(entry => name.EndsWith(entry.Ending, StringComparison.Ordinal))
            .Select(entry => (HeadKind?)entry.Kind).FirstOrDefault() ?? family.DefaultHead;
        // A decoder's bare checkpoint is opened as a language model whose head is its embedding, as this library has
        // always done.
        if (!family.Heads.Contains(kind) || (kind == HeadKind.None && family is DecoderFamily))
            kind = family.DefaultHead;
        return new HeadRequest(kind, LabelCount(config.Root));
    }

    /// <summary>The label names of a config in the order of their ids; null if it has none.</summary>
    public static IReadOnlyList<string>? LabelNames(JsonObject config)
    {
        if (config["id2label"] is not JsonObject names || names.Count == 0) return null;
        if (!names.All(pair => int.TryParse(pair.Key, CultureInfo.InvariantCulture, out _)
            && pair.Value?.GetValueKind() == JsonValueKind.String)) return null;
        return
        [
            .. names.OrderBy(pair => int.Parse(pair.Key, CultureInfo.InvariantCulture))
                .Select(pair => pair.Value!.GetValue<string>()),
        ];
    }

    private static int LabelCount(JsonObject config) => LabelNames(config)?.Count
        ?? (config["num_labels"] is JsonValue value && value.TryGetValue(out int count) && count > 0 ? count : 2);
}
