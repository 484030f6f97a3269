using System.CommandLine;
using LowRank.Cli.Common;
using LowRank.Cli.Views;
using LowRank.Hub;
using LowRank.IO;
using LowRank.Recipes;
using LowRank.Tasks;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank init</c>.</summary>
internal sealed class InitCommand : ICliCommand
{
    private const string SchemaFile = "recipe.schema.json";

    public string Example => "lowrank init my.yaml --model models/base --data samples/hotels/train.jsonl";

    public Command Build()
    {
        var file = new Argument<string>(
            "file") { Description = "The recipe to write.", DefaultValueFactory = _ => "recipe.yaml" };
        var model = new Option<string?>(
            "--model") { Description = "The base model's folder, or its name on the Hugging Face Hub." };
        var data = new Option<string?>("--data") { Description = "The rows to train on." };
        var validation = new Option<string?>("--validation") { Description = "Held-out rows." };
        var task = new Option<string?>(
            "--task") { Description =
            $"What the model learns; by default what the rows look like: {string.Join(", ", TaskRegistry.Names)}." };
        var preset = new Option<string?>(
            "--preset") { Description =
            "Settings to begin with; by default what suits model and task: " +
            $"{string.Join(", ", RecipePresets.Names)}." };
        var output = new Option<string?>(
            "--output") { Description = "The folder that receives the run (default: runs/ and the recipe's name)." };
        var schema = new Option<bool>(
            "--schema") { Description =
            $"Write {SchemaFile} beside the recipe too, so that editors complete its keys." };
        var force = new Option<bool>("--force") { Description = "Replace the file if it is there." };
        return new Command(
            "init", "Write a commented recipe for your model and data. What is not given as an option is asked for.") { file, model, data, validation, task, preset, output, schema, force }
            .Does(parsed =>
            {
                string path = Path.GetFullPath(parsed.GetRequiredValue(file));
                if (File.Exists(path) && !parsed.GetValue(force))
                    throw new InputException($"{path} is already there. Give another name, or --force to replace it.");
                OutputFile written =
                    OutputFile.Of(
                        "the recipe", parsed.GetRequiredValue(file),
                        [parsed.GetValue(model), parsed.GetValue(data), parsed.GetValue(validation)],
                        allowsStandard: false);
                var interview = new InitWizard(Console.In, Console.Error);
                Write(written, path,
                    Draft(path, interview, parsed.GetValue(model), parsed.GetValue(data), parsed.GetValue(validation),
                    parsed.GetValue(task), parsed.GetValue(preset), parsed.GetValue(output)), parsed.GetValue(schema));
            }, OptionUse.Always(model, data, validation, task, preset, output, schema, force));
    }

    private static RecipeDraft Draft(string path, InitWizard interview, string? model, string? data, string? validation,
        string? task, string? preset, string? output)
    {
        bool asks = model is null || data is null; // who gives both wants no questions
        model ??= interview.Ask(
            "Base model (folder, or org/name on the Hugging Face Hub)", "--model", null, CheckModel);
        data ??= interview.Ask("Data to train on (file)", "--data", null, CheckData);
        RequireValid("--model", model, CheckModel);
        RequireValid("--data", data, CheckData);
        (model, data) = (EmbeddedFiles.Resolve(model), EmbeddedFiles.Resolve(data));
        if (validation is null && asks)
            validation = interview.Ask(
                "Held-out data (file; nothing for none)", "--validation", "", answer => answer.Length == 0 ? null
                : CheckData(answer));
        if (validation is { Length: > 0 }) RequireValid("--validation", validation, CheckData);
        validation = validation is null ? null : EmbeddedFiles.Resolve(validation);
        string likelyTask = RecipeDraft.SuggestTask(model, data);
        if (task is null)
            task = asks ? interview.Ask(
                $"Task ({string.Join(", ", TaskRegistry.Names)})", "--task", likelyTask, CheckTask) : likelyTask;
        RequireValid("--task", task, CheckTask);
        (Dictionary<string, string> columns, string[] unknown) = Columns(interview, asks, data, task);
        string likelyPreset = RecipeDraft.SuggestPreset(model, task);
        if (preset is null)
            preset = asks ? interview.Ask(
                $"Settings to begin with ({string.Join(", ", RecipePresets.Names)})", "--preset", likelyPreset,
                CheckPreset) : likelyPreset;
        RequireValid("--preset", preset, CheckPreset);
        string usual = Path.Combine("runs", Path.GetFileNameWithoutExtension(path));
        if (output is null)
            output = asks ? interview.Ask("Folder for the run", "--output", usual, answer => answer.Length == 0
                ? "expected a folder" : null) : usual;
        return new RecipeDraft { Model = model, Train = data, Validation = validation is { Length: > 0 } ? validation
            : null, Task = task, Preset = preset, Output = output, Columns = columns, UnknownColumns = unknown };
    }

    // What the rows call the fields that the task reads; asked for where questions are asked, else proposed.
    private static (Dictionary<string, string> Known, string[] Unknown) Columns(
        InitWizard interview, bool asks, string data, string task)
    {
        IReadOnlyDictionary<string, string> proposed = ColumnProposal.Of(data, task);
        IReadOnlyList<string> missing = ColumnProposal.Missing(data, task), found = ColumnProposal.Columns(data, task);
        var known = new Dictionary<string, string>();
        foreach (string field in missing)
        {
            string? likely = proposed.GetValueOrDefault(field);
            if (asks)
                known[field] = interview.Ask($"Column that holds {field} (found: {string.Join(", ", found)})",
                    "--data with such a column", likely, answer => found.Contains(answer) ? null
                    : "expected a column of the data");
            else if (likely is not null) known[field] = likely;
        }
        if (!asks && known.Count > 0)
            Console.Error.WriteLine(
                $"note: the rows have no {string.Join(", ", known.Keys)}; data.columns of the recipe takes " +
                $"{string.Join(", ", known.Select(column => $"{column.Value} as {column.Key}"))} instead. Check it.");
        string[] unknown = [.. missing.Where(field => !known.ContainsKey(field))];
        if (unknown.Length > 0)
            Console.Error.WriteLine(
                $"warning: task {task} reads {string.Join(", ", unknown)}, and the rows have " +
                $"{string.Join(", ", found)}. Name the columns under data.columns in the recipe, or give another " +
                "--task.");
        return (known, unknown);
    }

    private static void Write(OutputFile written, string path, RecipeDraft draft, bool schema)
    {
        string folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        if (schema) AtomicFile.Write(Path.Combine(folder, SchemaFile), SchemaCommand.Text());
        string yaml = draft.ToYaml(folder, schema ? SchemaFile : null);
        Recipe.Parse(yaml, folder, name: path); // what is written can be read
        written.Write(yaml);
        Console.WriteLine($"Wrote {path}: task {draft.Task}, preset {draft.Preset}.");
        Console.WriteLine($"Next: lowrank validate {path}, then lowrank train {path}");
    }

    private static void RequireValid(string option, string value, Func<string, string?> check)
    {
        if (check(value) is { } problem) throw new InputException($"{option} is {value}: {problem}.");
    }

    private static string? CheckModel(string answer) =>
        File.Exists(Path.Combine(EmbeddedFiles.Resolve(answer), "config.json")) ? null
        : Directory.Exists(answer) ? "the folder has no config.json; expected a model's folder"
        : HubRepository.TryParse(answer) is not null ? null
        : "there is no such folder, and it is no name on the Hub such as org/name";

    private static string? CheckData(string answer) =>
        Path.Exists(EmbeddedFiles.Resolve(answer)) ? null : "there is no such file";

    private static string? CheckTask(string answer) => TaskRegistry.Names.Contains(answer) ? null
        : $"expected one of {string.Join(", ", TaskRegistry.Names)}";

    private static string? CheckPreset(string answer) => RecipePresets.Names.Contains(answer) ? null
        : $"expected one of {string.Join(", ", RecipePresets.Names)}";
}
