using LowRank.Training.Preferences;
using static LowRank.Recipes.KeyTypes;

namespace LowRank.Recipes;

/// <summary>The recipe's <c>objective</c> section: what a language model learns by. Each key belongs to some types; a
/// key without effect on the recipe's type is rejected.</summary>
public sealed record ObjectiveSection
{
    /// <summary>sft (texts), or preferences: dpo, kto, orpo, cpo or simpo.</summary>
    public string Type { get; init; } = ObjectiveKeys.Texts;

    /// <summary>The losses of dpo, added up.</summary>
    public IReadOnlyList<string> Loss { get; init; } = [PairLosses.Default];

    /// <summary>The factor of each loss; empty for 1 each.</summary>
    public IReadOnlyList<double> LossWeights { get; init; } = [];

    /// <summary>β; null for 0.1, and 2 in simpo.</summary>
    public double? Beta { get; init; }

    /// <summary>The share of pairs that are taken to be the wrong way round.</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>The margin by which SimPO's chosen completion should lead.</summary>
    public double Gamma { get; init; } = 0.5;

    /// <summary>The weight of the chosen completion's cross-entropy; null for 1 in cpo and 0 in simpo.</summary>
    public double? NllWeight { get; init; }

    /// <summary>The weight of completions that are wanted.</summary>
    public double DesirableWeight { get; init; } = 1;

    /// <summary>The weight of completions that are not.</summary>
    public double UndesirableWeight { get; init; } = 1;

    /// <summary>base; adapter for the one that training starts from; or precomputed for the default one, computed
    /// before the first step. Null for adapter where training starts from one, else base.</summary>
    public string? Reference { get; init; }

    /// <summary>The settings of preferences; null if texts are learned.</summary>
    internal PreferenceSettings? Preference => Type == ObjectiveKeys.Texts ? null : new PreferenceSettings
    {
        Type = Type,
        Losses = Loss,
        LossWeights = LossWeights.Count > 0 ? LossWeights : [.. Loss.Select(_ => 1.0)],
        Beta = Beta ?? (Type == "simpo" ? 2 : 0.1),
        LabelSmoothing = LabelSmoothing,
        Gamma = Gamma,
        NllWeight = NllWeight ?? (Type == "cpo" ? 1 : 0),
        DesirableWeight = DesirableWeight,
        UndesirableWeight = UndesirableWeight,
        Reference = Reference,
    };
}

/// <summary>The keys of <c>objective</c>.</summary>
internal static class ObjectiveKeys
{
    /// <summary>The objective that learns texts, without preferences.</summary>
    public const string Texts = "sft";

    private static readonly KeyType<string> Known = OneOf(Texts, "dpo", "kto", "orpo", "cpo", "simpo");

    // A reward model has another head, and is a task.
    private static readonly KeyType<string> Types = Known with
    {
        TryRead = (GivenValue given, out string type) =>
        {
            if (given.Value.Text != TaskOptions.Reward.Name) return Known.TryRead(given, out type);
            given.Reject($"is {given.Value.Text}, which is a task: set task: {given.Value.Text}, and remove this");
            type = Texts;
            return false;
        },
    };

    private static readonly KeySection<ObjectiveSection> At =
        new("objective", recipe => recipe.Objective, (recipe, o) => recipe with { Objective = o });

    public static IReadOnlyList<RecipeKey> All { get; } =
    [
        At.Always("type", Types,
            "what is learned: `sft`, texts and completions; or preferences: `dpo` from pairs of completions " +
            "([arXiv 2305.18290](https://arxiv.org/abs/2305.18290)), `kto` from completions that are wanted or not " +
            "([2402.01306](https://arxiv.org/abs/2402.01306)), `orpo` " +
            "([2403.07691](https://arxiv.org/abs/2403.07691)), `cpo` " +
            "([2401.08417](https://arxiv.org/abs/2401.08417)) or `simpo` " +
            "([2405.14734](https://arxiv.org/abs/2405.14734)) from pairs without a reference model; see " +
                "[Preferences](preferences.md)",
            o => o.Type, (o, type) => o with { Type = type }),
        Key("loss", Items(PreferenceSettings.LossNames),
            $"one or several of {string.Join(", ", PreferenceSettings.LossNames.Select(name => $"`{name}`"))}, added " +
                $"up",
            o => o.Loss, (o, names) => o with { Loss = names }, ["dpo"]) with
            {
                Default = $"`{PairLosses.Default}`",
                Invalid = r => r.Objective.Loss is [] ? "is empty, expected a loss"
                    : r.Objective.Loss.Distinct().Count() < r.Objective.Loss.Count ? "names a loss twice; name it " +
                        $"once, with a weight ({r.Name("objective.loss_weights")})" : null,
            },
        Key("loss_weights", Positives, "a factor for each of `loss`",
            o => o.Preference?.LossWeights, (o, weights) => o with { LossWeights = weights }, ["dpo"])
            with
            {
                Default = "1 each",
                Invalid = r => r.Objective is var o && o.LossWeights.Count is > 0 and var count && count != o.Loss.Count
                    ? $"has {count} numbers, and {r.Name("objective.loss")} names {o.Loss.Count}; expected one for each"
                    : null,
            },
        Key("beta", Number(above: true),
            "β: how strongly the model is held to the reference (dpo, kto), the weight of the odds ratio (orpo), or " +
            "the scale of log-probabilities (cpo, simpo)",
            o => o.Preference?.Beta, (o, number) => o with { Beta = number }, ["dpo", "kto", "orpo", "cpo", "simpo"])
            with { Default = "0.1; 2 in simpo" },
        Key("label_smoothing", Number(below: 0.5),
            "ε: the share of pairs that are taken to be the wrong way round; in dpo for the losses `robust`, `exo` " +
            "and `aot`",
            o => o.LabelSmoothing, (o, share) => o with { LabelSmoothing = share }, ["dpo", "cpo", "simpo"],
            c => c.Recipe.Objective is { Type: "dpo", LabelSmoothing: > 0 } o && !o.Loss.Any(
                PreferenceSettings.SmoothedLosses.Contains)
                ? $"has no effect with {c["objective.loss"]} {string.Join(", ", o.Loss)}, only with " +
                $"{string.Join(", ", PreferenceSettings.SmoothedLosses)}; remove it" : null) with
            {
                Missing = r => r.Objective is { Type: "dpo", LabelSmoothing: 0 } o && o.Loss.Contains("exo")
                    ? "is missing, and the loss exo takes its logarithm; expected a number above 0, such as 0.001"
                        : null,
                Invalid = r => r.Objective is { Type: "dpo", LabelSmoothing: 0 } o && o.Loss.Contains("exo")
                    && (r.Given?.ContainsKey("objective.label_smoothing") ?? true)
                    ? "is 0, and the loss exo takes its logarithm; expected a number above 0, such as 0.001" : null,
            },
        Key("gamma", Number(), "γ: the margin by which the chosen completion should lead",
            o => o.Gamma, (o, number) => o with { Gamma = number }, ["simpo"]),
        Key("nll_weight", Number(), "the weight of the chosen completion's cross-entropy beside the loss",
            o => o.Preference?.NllWeight, (o, number) => o with { NllWeight = number }, ["cpo", "simpo"])
            with { Default = "1 in cpo, 0 in simpo" },
        Key("desirable_weight", Number(above: true), "the weight of completions whose `label` is true",
            o => o.DesirableWeight, (o, number) => o with { DesirableWeight = number }, ["kto"]),
        Key("undesirable_weight", Number(above: true), "the weight of completions whose `label` is false",
            o => o.UndesirableWeight, (o, number) => o with { UndesirableWeight = number }, ["kto"]),
        Key("reference", OneOf(ReferenceModel.Names),
            "the model to compare with: `base`, without the adapter; `adapter`, a frozen copy of the adapter that " +
            "training starts from; `precomputed`, the default one of these, computed for all rows before the first " +
            "step and kept in the user's cache",
            o => o.Reference, (o, name) => o with { Reference = name }, PreferenceSettings.WithReference,
            c => c.Recipe.Objective.Reference == ReferenceModel.Start && c.Training.InitAdapter is null
                ? $"is {ReferenceModel.Start}, and training starts from a new one; add {c["training.init_adapter"]}, " +
                "or remove this" : null) with { Default = "`adapter` with `training.init_adapter`, else `base`" },
    ];

    /// <summary>Why a key of texts has no effect on preferences; null if it has one.</summary>
    public static string? OfTexts(RecipeChoices c) => c.Recipe.Objective.Preference is null ? null
        : $"has no effect with {c["objective.type"]} {c.Recipe.Objective.Type}; remove it";

    private static KeyType<IReadOnlyList<string>> Items(IReadOnlyList<string> names) => KeyTypes.Texts
        with
        {
            TryRead = (GivenValue given, out IReadOnlyList<string> items) =>
            {
                if (!KeyTypes.Texts.TryRead(given, out items)) return false;
                string[] unknown = [.. items.Where(item => !names.Contains(item))];
                if (unknown.Length > 0)
                    given.Reject($"has {string.Join(", ", unknown)}, expected some of {string.Join(", ", names)}");
                return unknown.Length == 0;
            },
        };

    private static RecipeKey Key<T>(string name, KeyType<T> type, string meaning,
        Func<ObjectiveSection, object?> written,
        Func<ObjectiveSection, T, ObjectiveSection> read, IReadOnlyList<string> types,
        params Func<RecipeChoices, string?>[] reasons) =>
        At.Key(name, type, $"{string.Join(", ", types.Select(each => $"`{each}`"))}: {meaning}", written, read) with
        {
            IsWritten = r => types.Contains(r.Objective.Type),
            Unless = [c => types.Contains(c.Recipe.Objective.Type) ? null
                : $"has no effect with {c["objective.type"]} {c.Recipe.Objective.Type}, only with " +
                $"{string.Join(", ", types)}; remove it", .. reasons],
        };
}
