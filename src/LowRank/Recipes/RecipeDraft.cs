using System.Globalization;
using System.Text;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Hub;
using LowRank.IO;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Tasks;

namespace LowRank.Recipes;

/// <summary>A starting recipe for a user's model and data: a preset's settings, with comments.</summary>
public sealed record RecipeDraft
{
    private const long SmallModel = 100_000_000;

    /// <summary>The base model's folder or its name on the Hub, as written by the user.</summary>
    public required string Model { get; init; }

    /// <summary>The training data, as written by the user; relative to the current folder.</summary>
    public required string Train { get; init; }

    /// <summary>The held-out data; null for none.</summary>
    public string? Validation { get; init; }

    /// <summary>The value of <c>task</c>.</summary>
    public required string Task { get; init; }

    /// <summary>The preset that the recipe is based on.</summary>
    public required string Preset { get; init; }

    /// <summary>The output folder.</summary>
    public required string Output { get; init; }

    /// <summary>The data's field names by the task's field names; empty if they are the same.</summary>
    public IReadOnlyDictionary<string, string> Columns { get; init; } = new Dictionary<string, string>();

    /// <summary>Fields of the task that the data has under other, unknown names.</summary>
    public IReadOnlyList<string> UnknownColumns { get; init; } = [];

    /// <summary>The likely task for rows of data and a model: rows with a label are classified, and so on.</summary>
    /// <param name="model">A model's folder, or a name on the Hub, which is not downloaded.</param>
    /// <param name="data">A file of rows.</param>
    /// <exception cref="InputException">The file cannot be read or has no rows.</exception>
    public static string SuggestTask(string model, string data)
    {
        RowReading reading = RowSource.From([data]).Reading(foreign: false);
        Row? first = reading.Rows().FirstOrDefault();
        if (first is null) reading.Problems.ThrowIfAny();
        bool Has(params string[] keys) => first is not null && keys.All(first.Fields.ContainsKey);
        if (Has("question", "context")) return "question_answering";
        if (Has("tokens", "tags") || Has("text", "entities")) return "token_classification";
        if (Has("text", "positive")) return "embedding";
        if (Has("text", "label") || Has("text", "labels")) return "sequence_classification";
        IModelFamily? family = Family(model);
        if (first is not null && !Has("prompt", "completion") && !Has("text") && !Has("messages")
            && Proposed(data, family) is { } named)
            return named;
        if (family is null) return TaskRegistry.Default;
        return new[] { TaskRegistry.Default, "seq2seq", "masked_lm" }.FirstOrDefault(
            task => TaskRegistry.Get(task).Fits(family)) ?? TaskRegistry.Default;
    }

    /// <summary>The preset for a model and a task: tasks with label heads have their own, small models use a higher
    /// rate, and all others use LoRA on every linear layer.</summary>
    /// <param name="model">A model's folder, or a name on the Hub, which is not downloaded.</param>
    /// <param name="task">The value of <c>task</c>.</param>
    public static string SuggestPreset(string model, string task)
    {
        if (task is "sequence_classification" or "token_classification" or "question_answering") return "classifier";
        if (Family(model) is null) return "lora";
        using Checkpoint checkpoint = Checkpoint.Open(model);
        return checkpoint.Entries.Values.Sum(entry => entry.ElementCount) < SmallModel ? "small" : "lora";
    }

    /// <summary>The recipe.</summary>
    /// <param name="folder">The folder of the recipe file, which its paths are relative to.</param>
    /// <param name="schema">The name of the JSON Schema file next to it, which editors use to complete keys; null for
    /// none.</param>
    public string ToYaml(string folder, string? schema = null)
    {
        var text = new StringBuilder();
        void Line(string yaml, string comment = "") =>
            text.Append(comment.Length == 0 ? yaml : $"{yaml,-50}  # {comment}").Append('\n');
        void Key(string key, object value, string? hint = null) => Line(
            $"{(key.Contains('.', StringComparison.Ordinal) ? "  " : "")}{RecipeKeys.Get(key).Name}: {value}",
            hint ?? RecipeKeys.Get(key).Hint);
        if (schema is not null) Line($"# yaml-language-server: $schema={schema}");
        Line("# A recipe of LowRank. What it will take:  lowrank estimate RECIPE    every problem at once:  " +
            "lowrank validate RECIPE");
        Line("# Training:  lowrank train RECIPE    a key of it for one run:  lowrank train RECIPE --set " +
            "adapter.rank=32");
        Line($"base: preset:{Preset}", Uncapitalised(RecipePresets.Summary(Preset)));
        Key("model", Quoted(IsName(Model) ? Model : Relative(folder, Model)), IsName(Model)
            ? "a name on the Hugging Face Hub, fetched once" : "config.json, weights and tokenizer files");
        Line($"task: {Task}");
        Line("data:");
        Key("data.train", Quoted(Relative(folder, Train)));
        if (Validation is { } held) Key("data.validation", Quoted(Relative(folder, held)));
        else
            Line("  # validation: held-out.jsonl",
                "set some rows apart: their loss shows when learning turns into memorising");
        if (Columns.Count > 0)
            Key("data.columns",
                $"{{{string.Join(", ", Columns.Select(column => $"{column.Key}: {Quoted(column.Value)}"))}}}");
        if (UnknownColumns.Count > 0)
            Line($"  # columns: {{{string.Join(", ", UnknownColumns.Select(field => $"{field}: …"))}}}",
                "the task reads these fields: name the data's column for each");
        if (Task == TaskRegistry.Default) Key("data.train_on", "completion");
        // The preset's own values, as places to change them.
        Recipe preset = Recipe.Parse(RecipePresets.Text(Preset) + "\nmodel: m\noutput: o\ndata: {train: t}\n", folder);
        if (preset.Adapter.Method is not null)
        {
            LoraConfig adapter = preset.Adapter.Config;
            Line("adapter:");
            Key("adapter.rank", adapter.Rank);
            Key("adapter.alpha", Number(adapter.Alpha.Value));
            Key("adapter.dropout", Number(adapter.Dropout));
            Key("adapter.target_modules", adapter.TargetModules?.Text ?? "null",
                adapter.TargetModules?.Text is null ? null : "every linear layer but the output head");
        }
        Line("training:");
        Key("training.epochs", Number(preset.Training.Epochs));
        Key("training.batch_size", preset.Training.BatchSize);
        Key("training.learning_rate",
            preset.EffectiveLearningRate.ToString("0.###e+0", CultureInfo.InvariantCulture),
            preset.Adapter.Method is null ? "a tenth of an adapter's" : null);
        Key("training.max_length", preset.Training.MaxLength);
        Key("training.seed", preset.Training.Seed);
        Line("  # save_every: auto", RecipeKeys.Get("training.save_every").Hint);
        Line($"output: {Quoted(Relative(folder, Output))}");
        return text.ToString();
    }

    // For rows with other names: the task for which every field has a likely column.
    private static string? Proposed(string data, IModelFamily? family) =>
        new[] { "question_answering", "sequence_classification", TaskRegistry.Default, "seq2seq" }
        .Where(task => family is null ? task == TaskRegistry.Default : TaskRegistry.Get(task).Fits(family))
        .FirstOrDefault(
            task => ColumnProposal.Missing(data, task) is { Count: > 0 } missing
            && missing.All(ColumnProposal.Create(data, task).ContainsKey));

    private static IModelFamily? Family(string model)
    {
        string config = Path.Combine(model, "config.json");
        return File.Exists(config) ? FamilyRegistry.Get(ConfigReader.Open(config).ModelType) : null;
    }

    private static bool IsName(string model) => !Directory.Exists(model) && HubRepository.TryParse(model) is not null;

    private static string Relative(string folder, string path) => EmbeddedFiles.NameOf(path) is { } name ? name
        : Path.IsPathRooted(path)
        || path.Contains("${", StringComparison.Ordinal) ? path
        : Path.GetRelativePath(folder, Path.GetFullPath(path)).Replace('\\', '/');

    // Unquoted if YAML allows it, otherwise in single quotes.
    private static string Quoted(string text) =>
        text.Length > 0
        && text.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '/' or '.' or '_' or '-' or '@')
        && !text.StartsWith('-') && !text.StartsWith('@')
        ? text : $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";

    private static string Number(double value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Uncapitalised(string text) => text.Split(' ')[0].Skip(1).All(char.IsLower)
        ? char.ToLowerInvariant(text[0]) + text[1..] : text;
}
