using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Models;
using LowRank.Tokenization;

namespace LowRank.Cli.Bench.Load;

/// <summary>What a measured start reads: a model folder with a tokenizer, rows of text and a recipe.</summary>
internal sealed class LoadInput
{
    private const string End = "<|endoftext|>";

    /// <summary>Writes the data and the recipe, and a tokenizer where the folder has none.</summary>
    /// <param name="model">The model's folder.</param>
    /// <param name="root">An empty folder for the rest.</param>
    /// <param name="rows">Rows of data.</param>
    /// <param name="length">Tokens of a row.</param>
    /// <param name="batch">Rows of a step.</param>
    /// <param name="steps">Steps of the run.</param>
    /// <param name="threads">Threads that compute; null for one for each core.</param>
    public LoadInput(string model, string root, int rows, int length, int batch = 4, int steps = 4, int? threads = null)
    {
        (Rows, Length, Recipe) = (rows, length, Path.Combine(root, "recipe.yaml"));
        if (!Tokenizer.IsPresent(model))
            File.WriteAllText(Path.Combine(model, "tokenizer.json"), Words((int)ConfigReader.Open(Path.Combine(model, "config.json")).NumberOr("vocab_size", 0)));
        var random = new Random(1);
        using (var data = new StreamWriter(Path.Combine(root, "train.jsonl")))
            for (int row = 0; row < rows; row++) data.WriteLine(JsonSerializer.Serialize(new { text = Text(random, length) }));
        File.WriteAllText(Recipe, $"""
            model: {JsonSerializer.Serialize(model)}
            data:
              train: train.jsonl
              cache: false
            adapter:
              rank: 8
              alpha: 16
            training:
              steps: {steps}
              batch_size: {batch}
              max_length: {length}{(threads is null ? "" : $"\n  threads: {threads}")}
            output: run
            """);
    }

    /// <summary>The recipe's file.</summary>
    public string Recipe { get; }

    /// <summary>Rows of data.</summary>
    public int Rows { get; }

    /// <summary>Tokens of a row, at most.</summary>
    public int Length { get; }

    // A byte-level vocabulary as large as the model's: all pairs of bytes, printable ones first, until it is full.
    private static string Words(int size)
    {
        JsonNode tokenizer = JsonNode.Parse(BytePairTrainer.Train([], 257, [End]))!;
        JsonObject vocabulary = tokenizer["model"]!["vocab"]!.AsObject();
        List<string> letters = [.. vocabulary.Select(word => word.Key).Where(word => word.Length == 1).OrderBy(letter => letter[0] > 'z')];
        JsonArray merges = tokenizer["model"]!["merges"]!.AsArray();
        foreach ((string first, string second) in letters.SelectMany(first => letters.Select(second => (first, second))).Take(size - vocabulary.Count))
        {
            vocabulary.Add(first + second, vocabulary.Count);
            merges.Add($"{first} {second}");
        }
        return tokenizer.ToJsonString();
    }

    // Words of two to nine letters; a token is a pair of letters at most, so every row fills its length.
    private static string Text(Random random, int length)
    {
        var text = new StringBuilder();
        while (text.Length < 3 * length)
        {
            for (int letters = random.Next(2, 10); letters > 0; letters--) text.Append((char)random.Next('a', 'z' + 1));
            text.Append(' ');
        }
        return text.ToString();
    }
}
