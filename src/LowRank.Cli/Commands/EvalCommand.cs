using System.CommandLine;
using LowRank.Data;
using LowRank.Tokenization;
using LowRank.Training;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank eval</c>.</summary>
internal sealed class EvalCommand : ICliCommand
{
    public string Example => "lowrank eval --model models/base --adapter runs/quickstart/adapter --data samples/hotels/test.jsonl";

    public Command Build()
    {
        var data = new Option<string[]>("--data") { Description = "JSONL files in any of the forms that training reads.", Required = true };
        var json = new Option<bool>("--json") { Description = "Print a JSON object: loss, perplexity, tokens, rows." };
        var maxLength = new Option<int>("--max-length") { Description = "Longest row in tokens; what is beyond is cut off and counted.", DefaultValueFactory = _ => 512 };
        var all = new Option<bool>("--all-tokens") { Description = "Count prompts and user turns too, not completions and the assistant's turns alone." };
        var batch = new Option<int>("--batch-size") { Description = "Rows computed together; changes the speed, not the result.", DefaultValueFactory = _ => 16 };
        var command = new Command("eval", "Measure the mean loss a token (in nats) and the perplexity on held-out data.") { data, json, maxLength, all, batch };
        ModelOptions model = new ModelOptions().AddTo(command);
        return command.Does(parsed => Evaluate(model, parsed, parsed.GetRequiredValue(data), parsed.GetValue(maxLength),
            parsed.GetValue(all), parsed.GetValue(batch), parsed.GetValue(json)));
    }

    private static void Evaluate(ModelOptions model, ParseResult parsed, string[] data, int maxLength, bool all, int batch, bool json)
    {
        List<string> problems = [];
        if (maxLength < 2) problems.Add($"--max-length is {maxLength}, expected at least 2");
        if (batch < 1) problems.Add($"--batch-size is {batch}, expected at least 1");
        if (problems.Count > 0) throw new InputException("The options cannot be used:", problems);
        using OpenedModel opened = model.Open(parsed);
        Tokenizer? tokenizer = Tokenizer.IsPresent(opened.Model.Folder) ? Tokenizer.Load(opened.Model.Folder, opened.Model.Generation.EndOfText) : null;
        LoadedExamples loaded = ExampleLoader.Load(data, tokenizer, new ExampleOptions
        {
            VocabularySize = opened.Model.Decoder.Shape.VocabularySize,
            MaxLength = Math.Min(maxLength, opened.Model.Decoder.Shape.MaxPositions),
            TrainOn = all ? TrainOn.All : TrainOn.Completion,
        });
        foreach (string warning in loaded.Summary.Warnings) Console.Error.WriteLine("note: " + warning);
        EvaluationResult result = Evaluation.Run(opened.Model.Decoder, loaded.Examples, batch, 0);
        double perplexity = Math.Exp(result.Loss);
        if (json) JsonOutput.Write(new { loss = result.Loss, perplexity, tokens = result.Tokens, rows = loaded.Examples.Count });
        else Console.WriteLine($"loss {result.Loss:f4}   perplexity {perplexity:f3}   {result.Tokens} tokens in {loaded.Examples.Count} rows");
    }
}
