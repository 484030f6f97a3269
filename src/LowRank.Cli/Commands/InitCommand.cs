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
        var file = new Argument<string>("file")
        {
            Description = "The recipe to write.",
            DefaultValueFactory = _ => "recipe.yaml",
        };
        var model = new Option<string?>("--model")
        {
            Description = "The base model's folder, or its name on the Hugging Face Hub.",
        };
        var data = new Option<string?>("--data") { Description = "The rows to train on." };
        var validation = new Option<string?>("--validation") { Description = "Held-out rows." };
        var task = new Option<string?>("--task")
        {
            Description =
                "What the model learns. Default: guessed from the rows. One of " +
                $"{string.Join(", ", TaskRegistry.Names)}.",
        };
        var preset = new Option<string?>("--preset")
        {
            Description =
                "Settings to start from. Default: chosen for model and task. One of " +
                $"{string.Join(", ", RecipePresets.Names)}.",
        };
        var output = new Option<string?>("--output")
        {
            Description = "The folder that receives the run (default: runs/ and the recipe's name).",
        };
        var schema = new Option<bool>("--schema")
        {
            Description = $"Also write {SchemaFile} beside the recipe, so that editors can complete its keys.",
        };
        var force = new Option<bool>("--force") { Description = "Replace an existing file." };
        return new Command("init",
            "Write a commented recipe for your model and data. Asks for whatever the options do not give.")
            { file, model, data, validation, task, preset, output, schema, force }
            .Does(parsed =>
            {
                string path = Path.GetFullPath(parsed.GetRequiredValue(file));
                if (File.Exists(path) && !parsed.GetValue(force))
                    throw new InputException($"{path} already exists. Choose another name, or use --force to replace " +
                        "it.");
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
        bool asks = model is null || data is null; // giving both options skips the questions
        model ??= interview.Ask(
            "Base model (folder, or org/name on the Hugging Face Hub)", "--model", null, CheckModel);
        data ??= interview.Ask("Data to train on (file)", "--data", null, CheckData);
        RequireValid("--model", model, CheckModel);
        RequireValid("--data", data, CheckData);
        (model, data) = (EmbeddedFiles.Resolve(model), EmbeddedFiles.Resolve(data));
        if (validation is null && asks)
            validation = interview.Ask("Held-out data (file; leave empty for none)", "--validation", "",
                answer => answer.Length == 0 ? null : CheckData(answer));
        if (validation is { Length: > 0 }) RequireValid("--validation", validation, CheckData);
        validation = validation is null ? null : EmbeddedFiles.Resolve(validation);
        string likelyTask = RecipeDraft.SuggestTask(model, data);
        if (task is null)
            task = !asks ? likelyTask : interview.Ask(
                $"Task ({string.Join(", ", TaskRegistry.Names)})", "--task", likelyTask, CheckTask);
        RequireValid("--task", task, CheckTask);
        (Dictionary<string, string> columns, string[] unknown) = Columns(interview, asks, data, task);
        string likelyPreset = RecipeDraft.SuggestPreset(model, task);
        if (preset is null)
            preset = !asks ? likelyPreset : interview.Ask(
                $"Settings to start from ({string.Join(", ", RecipePresets.Names)})", "--preset", likelyPreset,
                CheckPreset);
        RequireValid("--preset", preset, CheckPreset);
        string usual = Path.Combine("runs", Path.GetFileNameWithoutExtension(path));
        if (output is null)
            output = !asks ? usual : interview.Ask("Folder for the run", "--output", usual,
                answer => answer.Length == 0 ? "expected a folder" : null);
        return new RecipeDraft
        {
            Model = model,
            Train = data,
            Validation = validation is { Length: > 0 } ? validation : null,
            Task = task,
            Preset = preset,
            Output = output,
            Columns = columns,
            UnknownColumns = unknown,
        };
    }

    // The columns that hold the task's fields: asked for in an interactive run, otherwise guessed.
    private static (Dictionary<string, string> Known, string[] Unknown) Columns(
        InitWizard interview, bool asks, string data, string task)
    {
        IReadOnlyDictionary<string, string> proposed = ColumnProposal.Create(data, task);
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
                $"note: the rows have no {string.Join(", ", known.Keys)}; data.columns in the recipe reads " +
                $"{string.Join(", ", known.Select(column => $"{column.Value} as {column.Key}"))} instead. Please " +
                "check it.");
        string[] unknown = [.. missing.Where(field => !known.ContainsKey(field))];
        if (unknown.Length > 0)
            Console.Error.WriteLine(
                $"warning: task {task} reads {string.Join(", ", unknown)}, but the rows have " +
                $"{string.Join(", ", found)}. Set data.columns in the recipe, or use another --task.");
        return (known, unknown);
    }

    private static void Write(OutputFile written, string path, RecipeDraft draft, bool schema)
    {
        string folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        if (schema) AtomicFile.Write(Path.Combine(folder, SchemaFile), SchemaCommand.Text());
        string yaml = draft.ToYaml(folder, schema ? SchemaFile : null);
        Recipe.Parse(yaml, folder, name: path); // checks that the recipe can be read
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
        : "there is no such folder, and it is not a name on the Hub such as org/name";

    private static string? CheckData(string answer) =>
        Path.Exists(EmbeddedFiles.Resolve(answer)) ? null : "there is no such file";

    private static string? CheckTask(string answer) => TaskRegistry.Names.Contains(answer) ? null
        : $"expected one of {string.Join(", ", TaskRegistry.Names)}";

    private static string? CheckPreset(string answer) => RecipePresets.Names.Contains(answer) ? null
        : $"expected one of {string.Join(", ", RecipePresets.Names)}";
}
