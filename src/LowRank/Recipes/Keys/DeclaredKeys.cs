using System.Globalization;
using LowRank.Data.Rows;
using LowRank.Quantization;
using LowRank.Tasks;

namespace LowRank.Recipes.Keys;

/// <summary>When each key of a recipe takes effect, but for those of the adapter.</summary>
internal static class DeclaredKeys
{
    /// <summary>The recipe's own keys.</summary>
    public static IEnumerable<RecipeKey> OfRecipe()
    {
        var at = new KeySection("");
        return
        [
            .. at.Always("base", "model", "task", "task_options", "device"),
            at.Unless("base_dtype", c => WeightFormats.Get(c.Recipe.BaseDtype) is not null && c.Adapter.Method == "full"
                ? $"is {c.Recipe.BaseDtype}, whose weights are frozen, and adapter.method: full trains every " +
                $"weight; use {WeightFormats.Float32}, or another method" : null),
            at.Unless("tf32", c => c.Recipe.Tf32 && !c.Recipe.Device.StartsWith("cuda", StringComparison.Ordinal)
                ? $"has no effect with device {c.Recipe.Device}, it is of NVIDIA GPUs; remove it, or set device: cuda"
                : null),
            .. at.Always("data", "adapter", "training"),
            at.Unless("comparison", c => c.IsLanguageModel ? null
                : $"works with task {TaskRegistry.Default} only; remove it (evaluations of the task's metrics come " +
                "with data.validation)"),
            .. at.Always("output"),
        ];
    }

    /// <summary>Keys of <c>data</c>.</summary>
    public static IEnumerable<RecipeKey> OfData()
    {
        var at = new KeySection("data");
        return
        [
            .. at.Always("train"),
            at.Unless("weights", c => c.Data.Weights is { } weights && c.Data.Train.Count > 0
            && weights.Count != c.Data.Train.Count
                    ? $"has {weights.Count} numbers, expected {c.Data.Train.Count}, one for each entry of data.train"
                    : null,
                c => c.Data.Train.Count == 1
                    ? "has no effect with one entry of data.train; add others or remove this" : null),
            new RecipeKey("data", "validation") { Notes = [NeverMeasured] },
            at.Unless("validation_share", c => c.Data is { ValidationShare: > 0, Validation.Count: > 0 }
            ? "and data.validation are both given; keep one of them" : null)
                with { Notes = [c => c.Recipe.Data.ValidationShare > 0 ? NeverMeasured(c) : null] },
            at.Unless("split_seed", c => c.Data.ValidationShare == 0
                ? "has no effect without data.validation_share; add that or remove this" : null),
            at.Unless("train_on", OfLanguageModels),
            at.Unless("chat_template", OfLanguageModels),
            .. at.Always("columns", "template"),
            new RecipeKey(
                "data", "text") { UnlessPrepared =
                [c => c.Recipe.Data.Text != "pairs" && !c.Files.Any(file => RowFormats.Of(file) is TextFormat)
                ? $"is {c.Recipe.Data.Text}, which is for files of plain text (.txt), and there is none among " +
                    $"{Count(c.Files.Count, "data file")}; remove it" : null] },
            .. at.Always("csv", "on_bad_row"),
            at.Unless("deduplicate", c => c.Data is { Streaming: true, Deduplicate: true }
            ? "needs all rows, which data.streaming does not keep; keep one of them" : null),
            at.Unless("cache", c => c.Data is { Cache: true, Streaming: true }
            ? "has no effect with data.streaming: true, which keeps no tokenised data; remove one of them" : null,
                c => c.Data.Cache && !c.IsLanguageModel
                    ? $"has no effect with task {c.Recipe.Task}, whose rows are not kept; remove it" : null),
            at.Unless("streaming", c => c.Data.Streaming ? Streaming(c) : null),
            at.Unless("shuffle_buffer", c => !c.Data.Streaming
            ? "has no effect without data.streaming: true; add that or remove this" : null,
                c => !c.Training.Shuffle ? "has no effect with training.shuffle: false; remove it" : null),
        ];
    }

    /// <summary>Keys of <c>data.template</c>; which of them go together, the template itself says.</summary>
    public static IEnumerable<RecipeKey> OfTemplate() =>
        new KeySection("data.template").Always("text", "prompt", "completion", "system", "user", "assistant");

    /// <summary>Keys of <c>data.csv</c>.</summary>
    public static IEnumerable<RecipeKey> OfTables()
    {
        static string? WithoutTables(PreparedChoices c) =>
            c.Files.Any(file => RowFormats.Of(file) is DelimitedFormat) ? null
            : $"is for tables (.csv, .tsv), and there is none among {Count(c.Files.Count, "data file")}; remove it";
        return
        [
            new RecipeKey(
                "data.csv", "separator") { UnlessPrepared =
                [c => c.Recipe.Data.Csv.Separator is null ? null : WithoutTables(c)] },
            new RecipeKey(
                "data.csv", "header") { UnlessPrepared = [c => c.Recipe.Data.Csv.Header ? null : WithoutTables(c)] },
        ];
    }

    /// <summary>Keys of <c>training</c>.</summary>
    public static IEnumerable<RecipeKey> OfTraining()
    {
        var at = new KeySection("training");
        return
        [
            .. at.Always("epochs"),
            at.Unless("steps", c => c.IsGiven("training.epochs")
            ? "and training.epochs are both given; keep one of them" : null),
            .. at.Always("batch_size", "gradient_accumulation"),
            at.Unless("packing", OfLanguageModels),
            at.Unless("share_prompts", OfLanguageModels, c => c.Training.Packing ? null : c.Training.SharePrompts switch
            {
                "grouped" => "is grouped, which needs training.packing: true; change one of them",
                "true" => "has no effect with training.packing: false; remove one of them",
                _ => null,
            }),
            at.Unless("batch_tokens", OfLanguageModels),
            at.Unless("gradient_checkpointing", c => c.Training.GradientCheckpointing
            && c.Adapter.Method is "prompt_tuning" or "prefix_tuning"
                ? $"does not go with adapter.method: {c.Adapter.Method}, whose states every layer reads; remove " +
                "one of them" : null),
            .. at.Always("learning_rate", "schedule"),
            at.Unless("warmup_steps", c => c.Training.Steps is { } steps && c.Training.WarmupSteps > steps
            ? $"is {c.Training.WarmupSteps}, expected at most training.steps, {steps}" : null),
            at.Unless("warmup_ratio", c => c.IsGiven("training.warmup_steps")
            ? "and training.warmup_steps are both given; keep one of them" : null),
            .. at.Always("weight_decay", "beta1", "beta2", "epsilon", "max_grad_norm", "max_length", "shuffle", "seed"),
            at.Unless("eval_every", c => c.Training.EvalEvery > 0 && c.HoldsNothingOut
            ? "has no effect without data.validation or data.validation_share; add that or remove this" : null),
            at.Unless("eval_batch_size", c => c.HoldsNothingOut && c.Recipe.Comparison is null
            ? "has no effect without data.validation, data.validation_share or comparison; add one of them or " +
            "remove this" : null),
            at.Unless("init_adapter", c => c.Training.FromScratch
            ? "does not go with training.from_scratch; keep one of them"
                : c.Adapter.Method == "full"
                ? "does not go with adapter.method: full; merge the adapter into the model first" : null),
            at.Unless("from_scratch", c => c.Training.FromScratch && c.Adapter.Method != "full"
                ? "needs adapter.method: full; an adapter needs a pretrained base" : null),
            .. at.Always("save_every", "keep_checkpoints", "max_skipped_steps"),
            at.Unless("patience", c => c.HoldsNothingOut
            ? "stops by the held-out loss, which needs data.validation or data.validation_share; add that or " +
            "remove this"
                : c.Training.EvalEvery == 0
                ? "stops by the held-out loss, and training.eval_every is 0: never; change one of them" : null),
            at.Unless("min_delta", c => c.Training is { Patience: null, MinDelta: > 0 }
                ? "has no effect without training.patience; add that or remove this" : null),
            .. at.Always("max_time", "max_tokens", "threads", "tensorboard"),
        ];
    }

    /// <summary>Keys of <c>task_options</c>: each belongs to some tasks.</summary>
    public static IEnumerable<RecipeKey> OfTasks()
    {
        var at = new KeySection("task_options");
        Func<RecipeChoices, string?> Task(string name) => c =>
            TaskRegistry.Get(c.Recipe.Task).Options is var known && known.Contains(name) ? null
            : "has no effect with task " +
            $"{c.Recipe.Task}{(known.Count == 0 ? "" : $", which has {string.Join(", ", known)}")}; remove it";
        return
        [
            at.Unless("labels", Task("labels"),
                c => c.Recipe.TaskOptions.Problem == Tasks.SequenceClassification.Problems.Regression
                ? "has no effect with task_options.problem: regression, whose targets are numbers; remove one of them"
                : null),
            at.Unless("new_head", Task("new_head"), c => c.Recipe.TaskOptions.NewHead
                && c.Training.InitAdapter is not null
                ? "does not go with training.init_adapter, which brings the head that it was trained with; remove " +
                "one of them" : null),
            .. new[] { "problem", "pooling", "temperature", "mask_share", "stride", "max_answer_tokens" }.Select(
                name => at.Unless(name, Task(name))),
        ];
    }

    /// <summary>Keys of <c>comparison</c>.</summary>
    public static IEnumerable<RecipeKey> OfComparison()
    {
        var at = new KeySection("comparison");
        return
        [
            .. at.Always("data"),
            new RecipeKey(
                "comparison", "generations") { UnlessPrepared =
                [c => c is { Recipe: { Comparison.Generations: > 0, Given: not null }, Prompted.Count: 0 }
                ? $"is {c.Recipe.Comparison.Generations}, and no row of the comparison has a prompt; add " +
                    "\"prompt\" and \"completion\" to the rows, or set it to 0" : null],
                Notes = [c => Beyond(c.Recipe.Comparison?.Generations, c, "are shown")] },
            new RecipeKey(
                "comparison", "facts") { Notes = [c => Beyond(c.Recipe.Comparison?.Facts, c, "are asked for facts")] },
            new RecipeKey(
                "comparison", "references") { Notes =
                [c => Beyond(c.Recipe.Comparison?.References, c, "are measured")] },
            at.Unless("max_new_tokens", c => c.Recipe.Comparison is { Generations: 0, Facts: 0, References: 0 }
                ? "has no effect without comparison.generations, comparison.facts or comparison.references; add " +
                    "one of them or remove this" : null),
            at.Unless("every_evaluation", c => c.Recipe.Comparison is { EveryEvaluation: true } asked
                && NothingToWrite(asked, c) is { } reason
                ? $"has no effect {reason}; change that or remove this" : null),
        ];
    }

    private static string? OfLanguageModels(RecipeChoices choices) => choices.IsLanguageModel ? null
        : $"has no effect with task {choices.Recipe.Task}; remove it";

    // What goes through the data as a whole has no place where it is never seen as a whole.
    private static string? Streaming(RecipeChoices c) =>
        !c.IsLanguageModel ? $"works with task {TaskRegistry.Default} only; remove it"
        : c.Training.Steps is null ? "needs training.steps: how many rows there are is not known before the end"
        : c.Training.Steps > int.MaxValue / ((long)c.Training.BatchSize * c.Training.GradientAccumulation)
        ? $"takes at most {int.MaxValue} rows per run; lower training.steps"
        : c.Training.SharePrompts == "grouped"
        ? "does not go with training.share_prompts: grouped, which orders all rows; change one of them" : null;

    private static string? NothingToWrite(ComparisonSection comparison, RecipeChoices c) =>
        comparison.Generations == 0 ? "with comparison.generations: 0"
        : c.HoldsNothingOut ? "without data.validation or data.validation_share, which evaluations need"
        : c.Training.EvalEvery == 0 ? "with training.eval_every: 0, which leaves no evaluation" : null;

    private static string? NeverMeasured(PreparedChoices c) => c.Recipe.Training.EvalEvery != 0
        || c.Recipe.Comparison is { Data: var compared }
        && (compared.Count == 0 || compared.SequenceEqual(c.Recipe.Data.Validation))
        ? null : "is never measured: training.eval_every is 0";

    private static string? Beyond(int? asked, PreparedChoices c, string what) =>
        asked > c.Prompted.Count && c.Prompted.Count > 0
        ? string.Create(
            CultureInfo.InvariantCulture,
            $"is {asked}, and the comparison has {Count(c.Prompted.Count, "prompt")}: all of them {what}") : null;

    private static string Count(int count, string one) =>
        string.Create(CultureInfo.InvariantCulture, $"{count:n0} {one}{(count == 1 ? "" : "s")}");
}
