using System.Text.Json;
using LowRank.Tokenizers;

namespace LowRank.EndToEndTests;

/// <summary>The golden llama with a tokenizer of bytes, and data for it.</summary>
public sealed class TinyModel : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public TinyModel()
    {
        Directory.CreateDirectory(Folder);
        foreach (string name in new[] { "config.json", "generation_config.json", "model.safetensors" })
            File.Copy(Path.Combine(Golden, name), Path.Combine(Folder, name));
        File.WriteAllText(Path.Combine(Folder, "tokenizer.json"), BytePairTrainer.Train(["a b c"], 256, []));
        File.WriteAllLines(
            Data, Enumerable.Range(0, 24)
            .Select(i => JsonSerializer.Serialize(
                new { prompt = $"{i} and {i + 1}:", completion = $" {i * 7 % 10} dots" })));
    }

    public static string Golden { get; } =
        Path.Combine(CommandLine.Repository, "tests", "LowRank.ParityTests", "Fixtures", "goldens", "llama");

    public string Folder => folder["model"];

    public string Data => folder["data.jsonl"];

    public string this[string name] => folder[name];

    /// <summary>A recipe for the model and its data.</summary>
    public string Recipe(string training, string adapter = "rank: 4", string output = "run")
    {
        string path = folder[$"{output}.yaml"];
        File.WriteAllText(
            path, $"model: model\ndata:\n  train: data.jsonl\nadapter:\n  {adapter}\ntraining:\n  batch_size: 4\n  " +
            $"learning_rate: 0.01\n  {training}\noutput: {output}\n");
        return path;
    }

    public void Dispose() => folder.Dispose();
}
