using System.CommandLine;
using System.Diagnostics;
using LowRank.Cli.Common;
using LowRank.Data;
using LowRank.Generation;
using LowRank.Tokenizers;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank generate</c>.</summary>
internal sealed class GenerateCommand : ICliCommand
{
    private readonly Option<string?> prompt = new("--prompt")
    {
        Description = "The text to continue; \\n is a line break. Or give rows with --data.",
    };
    private readonly GenerateRows rows = new();
    private readonly SamplingOptions sampling = new(
        128, "Maximum number of tokens to add. A text ends earlier if it fills the model's context.",
        "Random seed for sampling.");
    private readonly Option<bool> json = new("--json")
    {
        Description =
            "Print one JSON object at the end: prompt, text, prompt_tokens, new_tokens, finish_reason, seconds.",
    };

    public string Example =>
        "lowrank generate --model models/base --adapter runs/quickstart/adapter --prompt \"name: The Blue Lamp | " +
        "type: hotel\\n\"";

    public Command Build()
    {
        var command = new Command("generate", "Continue a text, token by token, or all prompts of files.") { prompt };
        sampling.AddTo(command);
        command.Add(json);
        rows.AddTo(command);
        ModelOptions model = new ModelOptions().AddTo(command);
        return command.Does(
            parsed => Generate(model, parsed),
            [
                OptionUse.Unless(prompt, parsed => rows.AreGiven(parsed)
                    ? "and --data are both given; give one of them" : null),
                OptionUse.Unless(json, parsed => rows.AreGiven(parsed)
                    ? "has no effect with --data, which writes rows" : null),
                OptionUse.Rule(parsed => parsed.GetValue(prompt) is null && !rows.AreGiven(parsed)
                    ? ["--prompt is missing: the text to continue; or --data, rows with prompts"] : []),
                .. sampling.Uses, .. rows.Uses, .. model.Uses,
            ]);
    }

    private void Generate(ModelOptions model, ParseResult parsed)
    {
        GenerationOptions options = sampling.Read(parsed);
        if (rows.AreGiven(parsed))
        {
            rows.Write(model, options, parsed);
            return;
        }
        using OpenedModel opened = model.Open(parsed);
        Tokenizer tokenizer = opened.RequireTokenizer();
        string text = parsed.GetValue(prompt)!.Replace("\\n", "\n", StringComparison.Ordinal);
        int[] ids = PromptEncoding.Prompt(tokenizer, text);
        if (PromptEncoding.SpelledBeginning(tokenizer, text) is { } spelled)
            Console.Error.WriteLine(
                $"note: the prompt begins with {spelled}, which the tokenizer adds to every text; it was not added " +
                "again.");
        if (ids.Length == 0 && opened.Model.Generation.BosTokenId is { } begin) ids = [begin];
        options = options with { StopTokenIds = opened.Model.Generation.StopTokens(tokenizer) };
        bool asJson = parsed.GetValue(json);
        var generator = new TextGenerator(opened.Model.Decoder);
        int room = generator.Room(ids);
        if (room == 0)
            throw new InputException(
                $"The prompt has {ids.Length} tokens; the model's context holds " +
                $"{opened.Model.Decoder.Shape.ContextLength}, including new tokens. Shorten the prompt.");
        long started = Stopwatch.GetTimestamp();
        StreamingDecoder decoder = tokenizer.CreateStreamingDecoder();
        IReadOnlyList<int> made = generator.Generate([ids], options, (_, token) =>
        {
            if (!asJson) Write(decoder.Add(token));
        })[0];
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        if (!asJson) Console.WriteLine(decoder.Flush());
        foreach (string note in generator.Notes) Console.Error.WriteLine("note: " + note);
        if (!asJson) return;
        JsonOutput.Write(new
        {
            prompt = text,
            text = tokenizer.Decode(made, skipSpecialTokens: true),
            prompt_tokens = ids.Length,
            new_tokens = made.Count,
            finish_reason = made.Count < Math.Min(options.MaxNewTokens, room) ? "stop" : "length",
            seconds = Math.Round(seconds, 3),
        });
    }

    private static void Write(string text)
    {
        Console.Write(text);
        Console.Out.Flush();
    }
}
