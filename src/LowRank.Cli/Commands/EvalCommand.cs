using System.CommandLine;
using LowRank.Cli.Common;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Tasks;
using LowRank.Training;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank eval</c>.</summary>
internal sealed class EvalCommand : ICliCommand
{
    private readonly DataOptions data =
        new("Data files, folders or patterns in any form that training accepts. Rows are read as training read its " +
            "own.");
    private readonly Option<bool> json = new("--json")
    {
        Description = "Print a JSON object: task, loss, tokens, rows and the task's metrics.",
    };
    private readonly Option<int?> maxLength = new("--max-length")
    {
        Description =
            "Maximum row length in tokens; longer rows are cut and counted. Default: what training used, else 512.",
    };
    private readonly Option<bool> all = new("--all-tokens")
    {
        Description =
            "Include prompts and user turns in the loss, not only completions and the assistant's turns (default: as " +
            "training did).",
    };
    private readonly Option<int> batch = new("--batch-size")
    {
        Description =
            "Rows per batch. Changes the speed but not the result, except with embedding, whose loss compares the " +
            "rows of a batch.",
        DefaultValueFactory = _ => 16,
    };
    private readonly Option<string?> task = new("--task")
    {
        Description = "The task, if neither adapter nor model names it.",
    };
    private readonly Option<bool> generate = new("--generate")
    {
        Description =
            "Generate each row's completion and measure BLEU, ROUGE-L and chrF against \"completion\" or " +
            "\"references\"; rows with the same prompt share their references.",
    };
    private readonly Option<int?> limit = new("--limit") { Description = "Generate only for this many prompts." };
    private readonly Option<int> maxNewTokens = new("--max-new-tokens")
    {
        Description = "Maximum number of tokens per generated text.",
        DefaultValueFactory = _ => 128,
    };
    private readonly Option<string?> output = new("--output")
    {
        Description = "Write prompts, generated texts and references as JSONL; needs --generate.",
    };

    public string Example =>
        "lowrank eval --model models/base --adapter runs/quickstart/adapter --data samples/hotels/test.jsonl";

    public Command Build()
    {
        var command = new Command("eval",
            "Evaluate a model on held-out data: mean loss and perplexity, or the metrics of its task.")
            { json, maxLength, all, batch, task, generate, limit, maxNewTokens, output };
        ModelOptions model = new ModelOptions().AddTo(command);
        data.AddTo(command);
        return command.Does(parsed => Evaluate(model, parsed),
        [
            OptionUse.Always(json, maxLength, batch, task),
            OptionUse.UnlessOpened<TaskModel>(generate, opened => opened.Task is IGeneratingTask ? null
            : $"needs a model that generates text; {opened.Kind.Name} does not"),
            OptionUse.With(generate, limit, output, maxNewTokens),
            OptionUse.Unless(all, parsed => parsed.GetValue(generate) ? "has no effect with --generate" : null),
            OptionUse.UnlessOpened<TaskModel>(all, opened => opened.Kind.Name == TaskRegistry.Default ? null
            : $"has no effect with task {opened.Kind.Name}, whose rows have no prompt to leave out"),
            OptionUse.AtLeast(maxLength, 2), OptionUse.AtLeast(batch, 1), OptionUse.AtLeast(maxNewTokens, 1),
            OptionUse.AtLeast(limit, 1),
            .. data.Uses, .. model.Uses, model.OneAdapter,
        ]);
    }

    private void Evaluate(ModelOptions model, ParseResult parsed)
    {
        using TaskModel opened = model.OpenForTask(parsed, parsed.GetValue(task), settings =>
            settings.WithMaxLength(parsed.GetValue(maxLength)) with
        {
            TrainOn = parsed.GetValue(all) ? TrainOn.All : data.OfRecipe(parsed)?.Learned ?? settings.TrainOn,
        });
        parsed.Require(opened);
        RowSource source =
            data.Source(parsed, data.Reading(parsed, opened.Data, model.DataFolder(parsed)), unanswered: false);
        OutputFile? written = parsed.GetValue(output) is { } path
            ? OutputFile.Of("--output", path, [.. data.Inputs(parsed), .. model.Inputs(parsed)], allowsStandard: false)
            : null;
        Wording wording = CommandWording.Of(parsed.CommandResult.Command);
        var results = new Dictionary<string, object?> { ["task"] = opened.Kind.Name };
        if (parsed.GetValue(generate))
        {
            var generating = (IGeneratingTask)opened.Task;
            List<Words> notes = [];
            GeneratedTexts texts = GeneratedTexts.Create(generating, source, parsed.GetValue(batch),
                parsed.GetValue(maxNewTokens), parsed.GetValue(limit), notes);
            foreach (Words note in notes.Concat(generating.GenerationNotes))
                Console.Error.WriteLine("note: " + note.In(wording));
            written?.Write(texts.Save);
            foreach ((string name, double value) in texts.Metrics()) results[name] = value;
            results["prompts"] = texts.Prompts.Count;
            results["references"] = texts.References.Sum(one => one.Count);
        }
        else
        {
            TaskData loaded = opened.Task.Read(source);
            foreach (Words warning in loaded.Warnings) Console.Error.WriteLine("note: " + warning.In(wording));
            EvaluationResult result = Evaluation.RunFinite(opened.Task, loaded.Examples, parsed.GetValue(batch), 0);
            results["loss"] = result.Loss;
            if (opened.Kind.Head == Models.HeadKind.LanguageModel)
                results["perplexity"] = Math.Exp(result.Loss) is var perplexity && double.IsFinite(perplexity)
                    ? perplexity : null;
            foreach ((string name, double? value) in result.Metrics) results[name] = value;
            results[opened.Kind.Head == Models.HeadKind.LanguageModel ? "tokens" : "labels"] = result.Tokens;
            results["rows"] = loaded.Examples.Count;
        }
        if (parsed.GetValue(json)) JsonOutput.Write(results);
        else
            Console.WriteLine(
                string.Join("   ", results.Where(one => one.Key != "task").Select(one => Show(one.Key, one.Value))));
    }

    private static string Show(string name, object? value) => value switch
    {
        double number when name == "perplexity" => $"{name} {number:f3}",
        double number => $"{name} {number:f4}",
        null when name == "perplexity" => "perplexity over 1e308",
        null => $"{name} undefined",
        long or int => $"{value} {name}",
        _ => $"{name} {value}",
    };
}
