using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;

namespace LowRank.EndToEndTests;

/// <summary>Kills real runs with SIGKILL at random moments, goes on with each, and compares with the run that nobody
/// disturbed.</summary>
/// <remarks>Three kills by default; LOWRANK_KILLS asks for more, LOWRANK_KILL_SEED for other moments.</remarks>
public sealed class KilledRunTests(ITestOutputHelper output)
{
    private const int Steps = 150;

    private static readonly string[] Compared = ["adapter/adapter_model.safetensors", "best/adapter_model.safetensors",
        .. ((string[])["weights", "optimizer", "random"])
        .Select(name => $"checkpoints/step-{Steps:D8}/{name}.safetensors")];

    [Fact]
    public void A_run_that_is_killed_at_random_moments_ends_in_the_bytes_of_an_unbroken_one()
    {
        int kills = Setting("LOWRANK_KILLS", 3), seed = Setting("LOWRANK_KILL_SEED", 1), done = 0, rounds = 0, torn = 0;
        var random = new Random(seed);
        long started = Stopwatch.GetTimestamp();
        using var model = new TinyModel();
        CommandLine.Run("train", Recipe(model, "whole")).Succeeded();
        while (done < kills)
        {
            string name = "broken" + ++rounds, recipe = Recipe(model, name);
            while (done < kills && Kill(model, name, recipe, random))
            {
                done++;
                if (HasTorn(model[name])) torn++;
            }
            // The last kill of all, or one that came too late: what is there is gone on with to the end.
            CommandLine.Run(Arguments(model, name, recipe)).Succeeded();
            foreach (string file in Compared)
                Assert.True(File.ReadAllBytes(model[$"whole/{file}"])
                    .SequenceEqual(File.ReadAllBytes(model[$"{name}/{file}"])),
                    $"{file} differs in round {rounds} of seed {seed}");
            Assert.Equal(Measured(model["whole/metrics.jsonl"]), Measured(model[$"{name}/metrics.jsonl"]));
            Assert.False(HasTorn(model[name]));
        }
        output.WriteLine(
            $"{done} kills in {rounds} runs of {Steps} steps, {torn} of them within a write, seed {seed}: all " +
            $"bytes equal, {Stopwatch.GetElapsedTime(started).TotalSeconds:f0} s");
    }

    // Starts or resumes the run and kills it; false where it had ended before.
    private static bool Kill(TinyModel model, string name, string recipe, Random random)
    {
        bool early = random.Next(5) == 0; // while it starts, finds its checkpoint and tidies up
        int wait = random.Next(early ? 2000 : 400);
        string metrics = model[$"{name}/metrics.jsonl"];
        string[] arguments = Arguments(model, name, recipe);
        DateTime before = File.GetLastWriteTimeUtc(metrics);
        using Process process = CommandLine.Start(model[""], arguments);
        if (!early)
            SpinWait.SpinUntil(
                () => process.HasExited || (File.Exists(metrics) && File.GetLastWriteTimeUtc(metrics) > before),
                CommandLine.Longest);
        bool ended = process.WaitForExit(wait);
        process.Kill();
        process.WaitForExit();
        if (ended) Assert.True(process.ExitCode == 0, process.StandardError.ReadToEnd());
        return !ended;
    }

    private static string[] Arguments(TinyModel model, string name, string recipe) =>
        Directory.Exists(model[$"{name}/checkpoints"])
            && Directory.GetDirectories(model[$"{name}/checkpoints"], "step-????????").Length > 0
            ? ["train", recipe, "--resume"] : ["train", recipe];

    private static string Recipe(TinyModel model, string name)
    {
        string path = model.Recipe(
            $"steps: {Steps}\n  save_every: 2\n  eval_every: 3\n  threads: 1", "dropout: 0.1", name);
        File.WriteAllText(
            path, File.ReadAllText(path)
            .Replace("  train: data.jsonl", "  train: data.jsonl\n  validation: data.jsonl", StringComparison.Ordinal));
        return path;
    }

    // What was being written or removed has a name of its own until it is whole, or gone.
    private static bool HasTorn(string folder) => Directory.Exists(folder)
        && Directory.EnumerateDirectories(folder, "*", SearchOption.AllDirectories)
        .Any(path => path.Contains(".partial-", StringComparison.Ordinal)
        || path.Contains(".replaced-", StringComparison.Ordinal));

    // All that was measured but times, and the memory of the process.
    private static IReadOnlyList<string> Measured(string path) => [.. File.ReadLines(path).Select(line =>
    {
        JsonObject fields = JsonNode.Parse(line)!.AsObject();
        fields.Remove("tokens_per_second");
        fields.Remove("memory_bytes");
        return fields.ToJsonString();
    })];

    private static int Setting(string name, int otherwise) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text
        ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;
}
