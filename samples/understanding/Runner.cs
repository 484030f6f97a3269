using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace LowRank.Samples.Understanding;

/// <summary>Makes runs through the command line, each in a process of its own, so that memory is a run's own.</summary>
internal sealed partial class Runner(string root, Results results, string? baseText)
{
    // Runs whose loss on the base's own text is measured too.
    private static readonly string[] Remembering = ["rank", "rate"];

    private readonly string work = Path.Combine(Path.GetTempPath(), "lowrank-understanding");

    public void Run(Experiment experiment)
    {
        if (results.Runs.ContainsKey(experiment.Key)) return;
        string output = Path.Combine(work, Unsafe().Replace(experiment.Key, "_"));
        if (Directory.Exists(output)) Directory.Delete(output, recursive: true);
        Directory.CreateDirectory(work);
        string recipe = Path.Combine(work, "recipe.yaml");
        File.WriteAllText(recipe, $"model: {root}/models/base\ndata:\n  train: {root}/samples/hotels/train.jsonl\n  validation: {root}/samples/hotels/validation.jsonl\n" +
            $"training:\n  steps: {Experiments.Steps}\n  batch_size: 16\n  max_length: 256\n  schedule: cosine\n  warmup_steps: 4\n  seed: 42\noutput: {output}\n");
        (string said, int exit) = LowRank(["train", recipe, .. experiment.Settings.SelectMany(setting => new[] { "--set", setting })]);
        if (exit != 0 && !said.Contains("expected finite numbers", StringComparison.Ordinal)) throw new InvalidOperationException($"{experiment.Key}: {said}");
        JsonElement[] lines = [.. File.ReadLines(Path.Combine(output, "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)];
        JsonElement evaluated = lines.LastOrDefault(line => line.TryGetProperty("eval_loss", out _));
        double[] seconds = [.. lines.Where(line => line.TryGetProperty("tokens_per_second", out _)).Select(line => line.GetProperty("tokens").GetDouble() / line.GetProperty("tokens_per_second").GetDouble()).Order()];
        string saved = Path.Combine(output, Directory.Exists(Path.Combine(output, "adapter")) ? "adapter" : "model");
        long bytes = exit != 0 ? 0 : new DirectoryInfo(saved).EnumerateFiles("*.safetensors").Sum(file => file.Length);
        results.Runs[experiment.Key] = new RunResult(experiment.Value, exit != 0 ? null : evaluated.GetProperty("eval_loss").GetDouble(),
            long.Parse(Trained().Match(said).Groups[1].Value.Replace(",", "", StringComparison.Ordinal), CultureInfo.InvariantCulture), bytes,
            exit != 0 ? 0 : double.Parse(Memory().Match(said).Groups[1].Value, CultureInfo.InvariantCulture) * 1e9, seconds.Length == 0 ? 0 : seconds[seconds.Length / 2],
            exit == 0 && baseText is not null && Remembering.Contains(experiment.Group) ? LossOnBase(saved) : null);
        results.Save();
        Console.WriteLine($"{experiment.Key}: {results.Runs[experiment.Key]}");
        Directory.Delete(output, recursive: true);
    }

    /// <summary>Time a token with an adapter beside the base and merged into it: pairs of generations, one right after the other.</summary>
    public void MeasureLatency()
    {
        string recipe = Path.Combine(work, "latency.yaml"), output = Path.Combine(work, "latency");
        if (Directory.Exists(output)) Directory.Delete(output, recursive: true);
        Directory.CreateDirectory(work);
        File.WriteAllText(recipe, $"model: {root}/models/base\ndata:\n  train: {root}/samples/hotels/train.jsonl\nadapter:\n  rank: 8\n  target_modules: all-linear\n" +
            $"training:\n  steps: 1\n  batch_size: 2\noutput: {output}\n");
        Require(LowRank(["train", recipe]));
        Require(LowRank(["merge", "--model", $"{root}/models/base", "--adapter", $"{output}/adapter", "--output", $"{output}/merged"]));
        results.Latency.Clear();
        for (int round = 0; round < 7; round++)
            results.Latency.Add([PerToken(["--model", $"{root}/models/base", "--adapter", $"{output}/adapter"]), PerToken(["--model", $"{output}/merged"])]);
        results.Save();
    }

    private static double PerToken(string[] model)
    {
        string said = Require(LowRank(["generate", .. model, "--prompt", "name: The Blue Lamp | type: hotel\\n", "--max-new-tokens", "400", "--temperature", "1.5", "--json"]));
        JsonElement made = JsonDocument.Parse(said[said.IndexOf('{')..]).RootElement;
        return 1000 * made.GetProperty("seconds").GetDouble() / made.GetProperty("new_tokens").GetInt32();
    }

    private double LossOnBase(string saved)
    {
        string[] model = Path.GetFileName(saved) == "adapter" ? ["--model", $"{root}/models/base", "--adapter", saved] : ["--model", saved];
        string said = Require(LowRank(["eval", .. model, "--data", baseText!, "--json"]));
        return JsonDocument.Parse(said[said.IndexOf('{')..]).RootElement.GetProperty("loss").GetDouble();
    }

    private static string Require((string Said, int Exit) result) => result.Exit == 0 ? result.Said : throw new InvalidOperationException(result.Said);

    private static (string Said, int Exit) LowRank(IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(Repository.Root(), "src/LowRank.Cli/bin/Release/net10.0/LowRank.Cli.dll"), .. arguments])
        { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string said = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode == 0 ? said : said + errors.Result, process.ExitCode);
    }

    [GeneratedRegex(@"[^A-Za-z0-9]+")]
    private static partial Regex Unsafe();

    [GeneratedRegex(@"Training ([0-9,]+) of [0-9,]+ weights")]
    private static partial Regex Trained();

    [GeneratedRegex(@"peak memory ([0-9.]+) GB")]
    private static partial Regex Memory();
}
