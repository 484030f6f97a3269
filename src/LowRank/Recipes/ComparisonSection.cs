using System.Globalization;
using static LowRank.Recipes.KeyTypes;

namespace LowRank.Recipes;

/// <summary>The recipe's <c>comparison</c> section: the table before and after training.</summary>
public sealed record ComparisonSection
{
    /// <summary>Files, folders and patterns of held-out rows; by default the validation data.</summary>
    public IReadOnlyList<string> Data { get; init; } = [];

    /// <summary>Number of generations shown side by side.</summary>
    public int Generations { get; init; } = 3;

    /// <summary>Number of rows whose completion is generated to count the facts it states; 0 for none.</summary>
    public int Facts { get; init; }

    /// <summary>Number of prompts whose text is generated to measure BLEU, ROUGE-L and chrF against all completions of
    /// the prompt; 0 for none.</summary>
    public int References { get; init; }

    /// <summary>Maximum number of tokens per generation.</summary>
    public int MaxNewTokens { get; init; } = 64;

    /// <summary>Whether the texts are also generated at every evaluation and before the first step.</summary>
    public bool EveryEvaluation { get; init; }
}

/// <summary>The keys of <c>comparison</c>.</summary>
internal static class ComparisonKeys
{
    private static readonly KeySection<ComparisonSection> At =
        new("comparison", recipe => recipe.Comparison ?? new(), (recipe, c) => recipe with { Comparison = c });

    public static IReadOnlyList<RecipeKey> All { get; } =
    [
        At.Always("data", Paths, "held-out rows for the comparison before and after training",
            c => c.Data.Count > 0 ? c.Data : null, (c, data) => c with { Data = data },
            otherwise: r => r.Data.Validation) with
            {
                Default = "`data.validation`",
                Missing = r => r.Data is { Validation.Count: 0, ValidationShare: 0 }
                    ? $"is missing, and there is neither {r.Name("data.validation")} nor " +
                        $"{r.Name("data.validation_share")} to compare on" : null,
            },
        At.Key("generations", Count(least: 0), "number of texts shown side by side",
            c => c.Generations, (c, count) => c with { Generations = count }) with
            {
                UnlessPrepared = [c => c is { Recipe: { Comparison.Generations: > 0, Given: not null },
                    Prompted.Count: 0 }
                    ? $"is {c.Recipe.Comparison.Generations}, and no row of the comparison has a prompt; add " +
                    "\"prompt\" and \"completion\" to the rows, or set it to 0" : null],
                Notes = [c => Beyond(c.Recipe.Comparison?.Generations, c, "are shown")],
            },
        At.Key("facts", Count(least: 0), "number of rows whose generated text is checked for its `\"facts\"`",
            c => c.Facts, (c, count) => c with { Facts = count })
            with { Notes = [c => Beyond(c.Recipe.Comparison?.Facts, c, "are asked for facts")] },
        At.Key("references", Count(least: 0),
            "number of prompts whose generated text is scored with BLEU, ROUGE-L and chrF against all completions in " +
            "the data",
            c => c.References, (c, count) => c with { References = count }) with
            {
                Unless = [c => c.Recipe.Comparison?.References > 0 ? ObjectiveKeys.OfTexts(c) : null],
                Notes = [c => Beyond(c.Recipe.Comparison?.References, c, "are measured")],
            },
        At.Key("max_new_tokens", Count(least: 1), "maximum number of tokens per generated text",
            c => c.MaxNewTokens, (c, count) => c with { MaxNewTokens = count }) with
            {
                Unless = [c => c.Recipe.Comparison is { Generations: 0, Facts: 0, References: 0 }
                    ? $"has no effect without {c["comparison.generations"]}, {c["comparison.facts"]} or " +
                    $"{c["comparison.references"]}; add one of them or remove this" : null],
            },
        At.Key("every_evaluation", Flag,
            "also generate the texts at every evaluation and before the first step, and write them to `metrics.jsonl`",
            c => c.EveryEvaluation, (c, flag) => c with { EveryEvaluation = flag }) with
            {
                Unless = [c => c.Recipe.Comparison is { EveryEvaluation: true } asked
                    && NothingToWrite(asked, c) is { } reason
                    ? $"has no effect {reason}; change that or remove this" : null],
            },
    ];

    private static string? NothingToWrite(ComparisonSection comparison, RecipeChoices c) =>
        comparison.Generations == 0 ? $"with {c["comparison.generations"]}: 0"
        : c.HoldsNothingOut ? $"without {c["data.validation"]} or {c["data.validation_share"]}, which evaluations need"
        : c.Training.EvalEvery == 0 ? $"with {c["training.eval_every"]}: 0, which leaves no evaluation" : null;

    private static string? Beyond(int? asked, PreparedChoices c, string what) =>
        asked > c.Prompted.Count && c.Prompted.Count > 0
        ? string.Create(CultureInfo.InvariantCulture,
            $"is {asked}, and the comparison has {c.Prompted.Count:n0} prompt{(c.Prompted.Count == 1 ? "" : "s")}: " +
            $"all of them {what}") : null;
}
