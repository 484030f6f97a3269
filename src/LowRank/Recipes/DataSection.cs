using System.Globalization;
using LowRank.Adapters;
using LowRank.Data.Rows;
using LowRank.Tasks;
using static LowRank.Recipes.KeyTypes;

namespace LowRank.Recipes;

/// <summary>The recipe's <c>data</c> section: what is learned from.</summary>
public sealed record DataSection
{
    /// <summary>Files, folders and patterns to train on; at least one.</summary>
    public required IReadOnlyList<string> Train { get; init; }

    /// <summary>The proportion of each entry of <see cref="Train"/> in the mixture; null uses every row once.</summary>
    public IReadOnlyList<double>? Weights { get; init; }

    /// <summary>Files, folders and patterns to evaluate on; may be empty.</summary>
    public IReadOnlyList<string> Validation { get; init; } = [];

    /// <summary>Fraction of the training rows held out for evaluation; 0 for none.</summary>
    public double ValidationShare { get; init; }

    /// <summary>The seed that selects the held-out rows.</summary>
    public long SplitSeed { get; init; } = 42;

    /// <summary>"completion": loss only on completions and the assistant's turns; "all": on every token.</summary>
    public string TrainOn { get; init; } = "completion";

    /// <summary>The chat template for conversations: a file, or the name of a template in the model's folder; null for
    /// the model's default.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>The data's field names by the task's field names.</summary>
    public IReadOnlyDictionary<string, string> Columns { get; init; } = new Dictionary<string, string>();

    /// <summary>The user's templates for the fields, in Jinja: text; prompt and completion; user, assistant and
    /// optionally system.</summary>
    public IReadOnlyDictionary<string, string> Template { get; init; } = new Dictionary<string, string>();

    /// <summary>How plain text files are split: pairs, lines, document.</summary>
    public string Text { get; init; } = "pairs";

    /// <summary>The format of text tables (CSV, TSV).</summary>
    public TableOptions Csv { get; init; } = new();

    /// <summary>"error": an invalid row ends the run before it starts; "skip": it is skipped and counted.</summary>
    public string OnBadRow { get; init; } = "error";

    /// <summary>Whether duplicate rows are removed.</summary>
    public bool Deduplicate { get; init; }

    /// <summary>Whether tokenised data is cached in the user's cache folder.</summary>
    public bool Cache { get; init; } = true;

    /// <summary>Whether rows are processed on demand during training, sampled from a bounded buffer.</summary>
    public bool Streaming { get; init; }

    /// <summary>Number of rows in that buffer.</summary>
    public int ShuffleBuffer { get; init; } = 10_000;

    /// <summary>How its rows are read, as kept beside an adapter; null if everything is at its default.</summary>
    public AdapterData? Reading() => AdapterData.From(RecipeOptions.Rows(this), RecipeOptions.Learned(this));

    /// <summary>The section that reads files as an adapter's training read its own.</summary>
    public static DataSection From(AdapterData reading, IReadOnlyList<string> files) => new()
    {
        Train = files,
        Columns = reading.Columns ?? new Dictionary<string, string>(),
        Template = reading.Template ?? new Dictionary<string, string>(),
        Text = reading.Text ?? "pairs",
        Csv = reading.Rows().Csv,
        TrainOn = reading.TrainOn ?? "completion",
    };
}

/// <summary>The keys of <c>data</c> and its subsections.</summary>
internal static class DataKeys
{
    private static readonly KeySection<DataSection> At =
        new("data", recipe => recipe.Data, (recipe, d) => recipe with { Data = d });

    private static readonly KeySection<IReadOnlyDictionary<string, string>> Template =
        new("data.template", recipe => recipe.Data.Template,
            (recipe, parts) => recipe with { Data = recipe.Data with { Template = parts } });

    private static readonly KeySection<TableOptions> Tables =
        new("data.csv", recipe => recipe.Data.Csv,
            (recipe, table) => recipe with { Data = recipe.Data with { Csv = table } });

    public static IReadOnlyList<RecipeKey> All { get; } =
    [
        At.Always("train", Paths, "data file, folder or pattern, or a list of them; see [Data](#data)",
            d => d.Train, (d, paths) => d with { Train = paths }) with
            { Required = "a data file, a folder of them, or a list", Hint = "a file or a list of them" },
        At.Key("weights", Positives,
            "one number per entry of `data.train`: its relative share of the mixture",
            d => d.Weights, (d, weights) => d with { Weights = weights }) with
            {
                Unless =
                [
                    c => c.Data.Weights is { } weights && c.Data.Train.Count > 0 && weights.Count != c.Data.Train.Count
                        ? $"has {weights.Count} numbers, expected {c.Data.Train.Count}, one for each entry of " +
                            c["data.train"]
                        : null,
                    c => c.Data.Train.Count == 1
                        ? $"has no effect with one entry of {c["data.train"]}; add others or remove this" : null,
                ],
            },
        At.Key("validation", Paths, "held-out files, folders or patterns, evaluated during training",
            d => d.Validation.Count > 0 ? d.Validation : null, (d, paths) => d with { Validation = paths }) with
            { Notes = [NeverMeasured], Hint = "held-out data: its loss shows when learning turns into memorising" },
        At.Key("validation_share", Number(below: 1),
            "share of the training rows to hold out instead, such as 0.1",
            d => d.ValidationShare, (d, share) => d with { ValidationShare = share }) with
            {
                Replaces = "validation",
                Unless = [c => c.Data is { ValidationShare: > 0, Validation.Count: > 0 }
                    ? $"and {c["data.validation"]} are both given; keep one of them" : null],
                Notes = [c => c.Recipe.Data.ValidationShare > 0 ? NeverMeasured(c) : null],
            },
        At.Key("split_seed", Whole(least: 0), "seed that selects the held-out rows",
            d => d.SplitSeed, (d, seed) => d with { SplitSeed = seed }) with
            {
                Unless = [c => c.Data.ValidationShare == 0
                    ? $"has no effect without {c["data.validation_share"]}; add that or remove this" : null],
            },
        At.Key("train_on", OneOf("completion", "all"),
            "`completion`: loss on completions and the assistant's turns only; `all`: on every token",
            d => d.TrainOn, (d, word) => d with { TrainOn = word }) with
            {
                Unless = [RecipeChoices.OfLanguageModels, ObjectiveKeys.OfTexts],
                Hint = "which tokens the loss covers: completions and the assistant's turns, or all",
            },
        At.Key("chat_template", FileOrName,
            "`causal_lm`: another chat template for conversations: a file, or the name of one in the model's folder; " +
            "it is saved with the adapter or model; see [Conversations](#conversations)",
            d => d.ChatTemplate, (d, template) => d with { ChatTemplate = template }) with
            { Unless = [RecipeChoices.OfLanguageModels], Default = "the adapter's, else the model's" },
        At.Always("columns", TextMap,
            "map from the task's fields to the data's, such as `{prompt: question, completion: answer}`",
            d => d.Columns, (d, columns) => d with { Columns = columns }) with
            { Hint = "the data's column for each field of the task" },
        At.Section("template") with { IsAlways = true, Invalid = TemplateProblem },
        At.Key("text", OneOf("pairs", "lines", "document"),
            "what `.txt` files contain: `pairs`: lines `prompt||completion`; `lines`: one document per line; " +
            "`document`: " +
            "one document",
            d => d.Text, (d, text) => d with { Text = text }) with
            {
                UnlessPrepared = [c => c.Recipe.Data.Text != "pairs"
                    && !c.Files.Any(file => RowFormats.For(file) is TextFormat)
                    ? $"is {c.Recipe.Data.Text}, which is for files of plain text (.txt), and there is none among " +
                    $"{Files(c)}; remove it" : null],
            },
        At.Section("csv") with { IsAlways = true },
        At.Always("on_bad_row", OneOf("error", "skip"),
            "`error`: a row that cannot be used ends the run before any work; `skip`: it is skipped and counted",
            d => d.OnBadRow, (d, word) => d with { OnBadRow = word }),
        At.Key("deduplicate", Flag,
            "skip repeated rows, compared by their text, prompt and completion, or messages " +
            "(`causal_lm`, `seq2seq`); by every field in other tasks",
            d => d.Deduplicate, (d, flag) => d with { Deduplicate = flag }) with
            {
                Unless = [c => c.Data is { Streaming: true, Deduplicate: true }
                    ? $"needs all rows, which {c["data.streaming"]} does not keep; keep one of them" : null],
            },
        At.Key("cache", Flag,
            "`causal_lm`: store tokenised data in the user's cache; see [Large data](#large-data)",
            d => d.Cache, (d, flag) => d with { Cache = flag }) with
            {
                Unless =
                [
                    c => c.Data is { Cache: true, Streaming: true }
                        ? $"has no effect with {c["data.streaming"]}: true, which keeps no tokenised data; remove " +
                            "one of them"
                        : null,
                    c => c.Data.Cache && !c.IsLanguageModel
                        ? $"has no effect with task {c.Recipe.Task}, whose rows are not kept; remove it" : null,
                    c => c.Data.Cache ? ObjectiveKeys.OfTexts(c) : null,
                ],
            },
        At.Key("streaming", Flag,
            "`causal_lm`: tokenise rows as training needs them; requires `training.steps`; see " +
            "[Large data](#large-data)",
            d => d.Streaming, (d, flag) => d with { Streaming = flag })
            with { Unless = [c => c.Data.Streaming ? NotStreaming(c) : null] },
        At.Key("shuffle_buffer", Count(least: 2), "number of rows from which streaming draws the next one",
            d => d.ShuffleBuffer, (d, rows) => d with { ShuffleBuffer = rows }) with
            {
                Unless =
                [
                    c => !c.Data.Streaming
                        ? $"has no effect without {c["data.streaming"]}: true; add that or remove this" : null,
                    c => !c.Training.Shuffle ? $"has no effect with {c["training.shuffle"]}: false; remove it" : null,
                ],
            },
    ];

    // The template itself checks which of them go together.
    public static IReadOnlyList<RecipeKey> OfTemplate { get; } =
    [
        Part("text", "a Jinja template that builds the text to learn from a row's fields; see " +
            "[Your own words](#your-own-words)"),
        Part("prompt", "the same for a prompt"),
        Part("completion", "the completion for `data.template.prompt`"),
        Part("system", "the same for a conversation, which the model's chat template renders: its system message"),
        Part("user", "the same as a conversation: the user's turn"),
        Part("assistant", "the same as a conversation: the assistant's turn"),
    ];

    public static IReadOnlyList<RecipeKey> OfTables { get; } =
    [
        Tables.Key("separator", Parsed(TableOptions.ReadSeparator),
            "column separator of `.csv` and `.tsv` files: `auto` (detected), `tab`, or a character such as `;`",
            t => t.SeparatorWord, (t, separator) => t with { Separator = separator }) with
            { UnlessPrepared = [c => c.Recipe.Data.Csv.Separator is null ? null : WithoutTables(c)] },
        Tables.Key("header", Flag,
            "false: the first line is a row, and `data.columns` uses column numbers from 0",
            t => t.Header, (t, flag) => t with { Header = flag }) with
            { UnlessPrepared = [c => c.Recipe.Data.Csv.Header ? null : WithoutTables(c)] },
    ];

    private static RecipeKey Part(string name, string meaning) => Template.Always(name, KeyTypes.Text, meaning,
        parts => parts.GetValueOrDefault(name),
        (parts, source) => new Dictionary<string, string>(parts) { [name] = source });

    private static string? TemplateProblem(Recipe recipe)
    {
        if (recipe.Data.Template.Count == 0) return null;
        try
        {
            _ = new RowTemplate(recipe.Data.Template);
            return null;
        }
        catch (InputException failure)
        {
            failure.Word(recipe.Named);
            return $"cannot be used: {failure.Message.TrimEnd('.')}";
        }
    }

    // Operations on the whole data are not possible if it is never available as a whole.
    private static string? NotStreaming(RecipeChoices c) =>
        !c.IsLanguageModel ? $"works with task {TaskRegistry.Default} only; remove it"
        : ObjectiveKeys.OfTexts(c) is { } obstacle ? obstacle
        : c.Training.Steps is null ? $"needs {c["training.steps"]}: how many rows there are is not known before the end"
        : c.Training.Steps > int.MaxValue / ((long)c.Training.BatchSize * c.Training.GradientAccumulation)
        ? $"takes at most {int.MaxValue} rows per run; lower {c["training.steps"]}"
        : c.Training.SharePrompts == "grouped"
        ? $"does not go with {c["training.share_prompts"]}: grouped, which orders all rows; change one of them" : null;

    private static string? NeverMeasured(PreparedChoices c) => c.Recipe.Training.EvalEvery != 0
        || c.Recipe.Comparison is { Data: var compared }
        && (compared.Count == 0 || compared.SequenceEqual(c.Recipe.Data.Validation))
        ? null : $"is never measured: {c["training.eval_every"]} is 0";

    private static string? WithoutTables(PreparedChoices c) =>
        c.Files.Any(file => RowFormats.For(file) is DelimitedFormat) ? null
        : $"is for tables (.csv, .tsv), and there is none among {Files(c)}; remove it";

    private static string Files(PreparedChoices c) =>
        string.Create(CultureInfo.InvariantCulture, $"{c.Files.Count:n0} data file{(c.Files.Count == 1 ? "" : "s")}");
}
