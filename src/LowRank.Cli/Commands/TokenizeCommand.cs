using System.CommandLine;
using System.Text.Json.Nodes;
using LowRank.Cli.Common;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Tokenizers;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank tokenize</c>.</summary>
internal sealed class TokenizeCommand : ICliCommand
{
    public string Example => "lowrank tokenize --model models/base --file texts.jsonl";

    public Command Build()
    {
        var model = new Option<string?>("--model") { Description = "Folder of a model with tokenizer files." };
        var file = new Option<string?>("--tokenizer")
        {
            Description = "A tokenizer.json, or a folder with tokenizer files.",
        };
        var texts = new Option<string>("--file")
        {
            Description = "JSONL file with one {\"text\"} per line, or one {\"ids\"} per line with --decode.",
            Required = true,
        };
        var special = new Option<bool>("--special")
        {
            Description =
                "Add the special tokens that the tokenizer puts around a text. With --decode, keep them in the text.",
        };
        var decode = new Option<bool>("--decode") { Description = "Convert {\"ids\"} to {\"text\"}." };
        return new Command("tokenize", "Convert texts to token ids, or back, one JSON line per row.")
            { model, file, texts, special, decode }
            .Does(parsed =>
            {
                string? folder = parsed.GetValue(model), path = parsed.GetValue(file);
                Run(Tokenizer.Load(folder ?? path!), parsed.GetRequiredValue(texts), parsed.GetValue(special),
                    parsed.GetValue(decode));
            }, OptionUse.Always(model, file, texts, special, decode),
                OptionUse.There(
                    "a tokenizer's file or folder", parsed => [parsed.GetValue(model), parsed.GetValue(file)]),
            OptionUse.Rule(parsed => parsed.GetValue(model) is null == parsed.GetValue(file) is null
                ? ["Give either --model FOLDER or --tokenizer FILE"] : []));
    }

    private static void Run(Tokenizer tokenizer, string file, bool special, bool decode)
    {
        foreach (string note in tokenizer.Notes) Console.Error.WriteLine("note: " + note);
        using var output = new StreamWriter(Console.OpenStandardOutput());
        foreach (Row row in RowSource.Load([file]))
        {
            JsonObject result = decode
                ? new JsonObject { ["text"] = tokenizer.Decode(Ids(row), skipSpecialTokens: !special) }
                : new JsonObject
                {
                    ["ids"] = new JsonArray( [.. tokenizer.Encode(Text(row), special).Select(id => (JsonNode)id)]),
                };
            output.WriteLine(result.ToJsonString(JsonOutput.Compact));
        }
    }

    private static string Text(Row row) => row.Text("text")
        ?? throw new InputException(
            $"{row.Place}: the row has no \"text\", expected {{\"text\": \"…\"}}. With --decode rows are " +
            "{\"ids\": […]}.");

    private static IEnumerable<int> Ids(Row row) =>
        row.Fields["ids"] is JsonArray list && list.All(id => id is JsonValue value && value.TryGetValue(out int _))
            ? list.Select(id => id!.GetValue<int>())
            : throw new InputException($"{row.Place}: expected {{\"ids\": […]}} with whole numbers.");
}
