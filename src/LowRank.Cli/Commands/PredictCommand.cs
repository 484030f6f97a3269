using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using LowRank.Cli.Common;
using LowRank.Data.Rows;
using LowRank.Tasks;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank predict</c>.</summary>
internal sealed class PredictCommand : ICliCommand
{
    private static readonly JsonSerializerOptions Readable =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly DataOptions data =
        new("Data files, folders or patterns in any form that training accepts. Rows are read as training read its " +
            "own; labels and answers are not needed.");
    private readonly Option<string?> output = new("--output")
    {
        Description = "The JSONL file to write. Default, or with -: standard output.",
    };
    private readonly Option<string?> task = new("--task")
    {
        Description = "The task, if neither adapter nor model names it.",
    };
    private readonly Option<int> batch = new("--batch-size")
    {
        Description = "Rows per batch. Changes the speed but not the result.",
        DefaultValueFactory = _ => 16,
    };
    private readonly Option<int?> maxLength = new("--max-length")
    {
        Description = "Maximum text length in tokens. Default: what training used.",
    };
    private readonly Option<string?> prompt = new("--prompt")
    {
        Description =
            "For embeddings: the name of one of the model's prompts to put before each text, such as query. Default: " +
            "the model's default prompt.",
    };
    private readonly Option<int> maxNewTokens = new("--max-new-tokens")
    {
        Description = "Maximum number of tokens per generated text.",
        DefaultValueFactory = _ => 128,
    };

    public string Example =>
        "lowrank predict --model bert-base-uncased --adapter runs/reviews/adapter --data new.jsonl --output " +
        "answers.jsonl";

    public Command Build()
    {
        var command = new Command("predict",
            "Apply a model to rows according to its task: labels with probabilities, tags, answers, texts or " +
            "embeddings. Writes one JSON object per row.")
            { output, task, batch, maxLength, maxNewTokens, prompt };
        ModelOptions model = new ModelOptions().AddTo(command);
        data.AddTo(command);
        return command.Does(parsed => Predict(model, parsed),
        [
            OptionUse.Always(output, task, batch, maxLength),
            OptionUse.UnlessOpened<TaskModel>(maxNewTokens, opened => opened.Task is IGeneratingTask ? null
            : $"has no effect with task {opened.Kind.Name}, which generates no text"),
            OptionUse.UnlessOpened<TaskModel>(prompt, opened => opened.Kind.Name == "embedding" ? null
            : $"has no effect with task {opened.Kind.Name}; it is for embeddings"),
            OptionUse.AtLeast(batch, 1), OptionUse.AtLeast(maxLength, 2), OptionUse.AtLeast(maxNewTokens, 1),
            .. data.Uses, .. model.Uses, model.OneAdapter,
        ]);
    }

    private void Predict(ModelOptions model, ParseResult parsed)
    {
        using TaskModel opened = model.OpenForTask(parsed, parsed.GetValue(task), settings =>
            settings.WithMaxLength(parsed.GetValue(maxLength)) with
        {
            MaxNewTokens = parsed.GetValue(maxNewTokens),
            Prompt = parsed.GetValue(prompt),
        });
        parsed.Require(opened);
        RowSource source =
            data.Source(parsed, data.Reading(parsed, opened.Data, model.DataFolder(parsed)), unanswered: true);
        OutputFile? file = parsed.GetValue(output) is { } path
            ? OutputFile.Of("--output", path, [.. data.Inputs(parsed), .. model.Inputs(parsed)]) : null;
        List<Words> notes = [];
        IEnumerable<string> lines = opened.Task.Predict(source, parsed.GetValue(batch), notes)
            .Select(answer => answer.ToJsonString(Readable));
        Wording wording = CommandWording.Of(parsed.CommandResult.Command);
        foreach (Words note in notes) Console.Error.WriteLine("note: " + note.In(wording));
        if (file is null or { IsStandardOutput: true })
        {
            foreach (string line in lines) Console.WriteLine(line);
            Note(opened.Task, wording);
            return;
        }
        int rows = 0;
        file.Write(stream =>
        {
            using var writer = new StreamWriter(stream, leaveOpen: true) { NewLine = "\n" };
            foreach (string line in lines)
            {
                writer.WriteLine(line);
                rows++;
            }
        });
        Note(opened.Task, wording);
        file.Say($"Wrote {rows} answers to {file}");
    }

    private static void Note(ITask task, Wording wording)
    {
        foreach (Words note in (task as IGeneratingTask)?.GenerationNotes ?? [])
            Console.Error.WriteLine("note: " + note.In(wording));
    }
}
