using LowRank.Models.Sentences;
using LowRank.Tasks;
using static LowRank.Recipes.KeyTypes;

namespace LowRank.Recipes;

/// <summary>The recipe's <c>task_options</c> section: a task's own settings. Each key belongs to some tasks; a key
/// without effect on the recipe's task is rejected.</summary>
public sealed record TaskSection
{
    /// <summary>The labels in the order of their ids; null takes them from the base's head or the data.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>single_label_classification, multi_label_classification or regression; null determines it from the
    /// data.</summary>
    public string? Problem { get; init; }

    /// <summary>One of <see cref="Models.Sentences.SentenceFolder.ModeNames"/>; null uses the model's own mode,
    /// otherwise mean.</summary>
    public string? Pooling { get; init; }

    /// <summary>Whether a new head replaces the base's, for example for another number of labels.</summary>
    public bool NewHead { get; init; }

    /// <summary>The temperature by which cosines are divided in the contrastive loss.</summary>
    public double Temperature { get; init; } = 0.05;

    /// <summary>Fraction of tokens that are predicted.</summary>
    public double MaskShare { get; init; } = 0.15;

    /// <summary>Factor of the squared sum of a pair's scores in the loss of reward models.</summary>
    public double CenterRewardsCoefficient { get; init; }

    /// <summary>Number of tokens that windows of a long context share.</summary>
    public int Stride { get; init; } = 128;

    /// <summary>The longest answer in tokens.</summary>
    public int MaxAnswerTokens { get; init; } = 30;
}

/// <summary>The keys of <c>task_options</c>: each belongs to some tasks.</summary>
internal static class TaskKeys
{
    private static readonly KeySection<TaskSection> At =
        new("task_options", recipe => recipe.TaskOptions, (recipe, t) => recipe with { TaskOptions = t });

    public static IReadOnlyList<RecipeKey> All { get; } =
    [
        Key("labels", Texts, "label names, in the order of their numbers",
            t => t.Labels, (t, labels) => t with { Labels = labels },
            c => c.Recipe.TaskOptions.Problem == Problems.Regression
                ? $"has no effect with {c["task_options.problem"]}: regression, whose targets are numbers; remove " +
                    "one of them"
                : null)
            with { Default = "from the base's head, else the data, sorted" },
        Key("problem", OneOf([.. Problems.All]),
            "`single_label_classification`, `multi_label_classification`, `regression`",
            t => t.Problem, (t, problem) => t with { Problem = problem }) with { Default = "detected from the data" },
        Key("new_head", Flag, "replace the base's head with a new one, for example for another number of labels",
            t => t.NewHead, (t, flag) => t with { NewHead = flag },
            c => c.Recipe.TaskOptions.NewHead && c.Training.InitAdapter is not null
                ? $"does not go with {c["training.init_adapter"]}, which brings the head that it was trained with; " +
                "remove one of them" : null),
        Key("pooling", OneOf([.. SentenceFolder.ModeNames]),
            "how hidden states become an embedding: `mean` over a text's tokens, `cls` (the first token), " +
            "`lasttoken`, " +
            "`max`, `weightedmean` or `mean_sqrt_len_tokens`, as sentence-transformers names them",
            t => t.Pooling, (t, mode) => t with { Pooling = mode }) with { Default = "the base's, else `mean`" },
        Key("temperature", Number(above: true), "divisor of the cosines in the contrastive loss",
            t => t.Temperature, (t, number) => t with { Temperature = number }),
        Key("mask_share", Number(above: true, below: 1), "share of tokens to mask and predict",
            t => t.MaskShare, (t, share) => t with { MaskShare = share }),
        Key("center_rewards_coefficient", Number(least: 0),
            "factor of the squared sum of a pair's scores in the loss of reward models, which keeps their mean near " +
            "0 (arXiv 2312.09244 uses 0.01); 0 for none",
            t => t.CenterRewardsCoefficient, (t, factor) => t with { CenterRewardsCoefficient = factor }),
        Key("stride", Count(least: 0), "overlap, in tokens, of the windows of a long context",
            t => t.Stride, (t, tokens) => t with { Stride = tokens }),
        Key("max_answer_tokens", Count(least: 1), "maximum answer length in tokens",
            t => t.MaxAnswerTokens, (t, tokens) => t with { MaxAnswerTokens = tokens }),
    ];

    private static RecipeKey Key<T>(string name, KeyType<T> type, string meaning, Func<TaskSection, object?> written,
        Func<TaskSection, T, TaskSection> read, params Func<RecipeChoices, string?>[] reasons) =>
        At.Key(name, type, meaning, written, read) with { Unless = [c => OfTask(name, c), .. reasons] };

    private static string? OfTask(string name, RecipeChoices c) =>
        TaskRegistry.Get(c.Recipe.Task).Options is var known && known.Contains(name) ? null
        : $"has no effect with task {c.Recipe.Task}"
            + $"{(known.Count == 0 ? "" : $", which has {string.Join(", ", known)}")}; remove it";
}
