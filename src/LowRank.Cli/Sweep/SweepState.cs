using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Cli.Common;
using LowRank.IO;
using LowRank.Recipes.Runs;

namespace LowRank.Cli.Sweep;

/// <summary>A sweep's <c>sweep.json</c>: the runs and their results. A sweep that is run again skips the finished
/// runs.</summary>
/// <param name="folder">The sweep's folder.</param>
/// <param name="axes">The grid.</param>
/// <param name="metric">The metric that decides.</param>
internal sealed class SweepState(string folder, IReadOnlyList<GridAxis> axes, string metric)
{
    public const string FileName = "sweep.json";

    private readonly Lock writing = new();

    /// <summary>Whether higher values of the metric are better: all except losses, errors and perplexities.</summary>
    public bool HighestIsBest { get; } = IsHighestBest(metric);

    /// <summary>The runs with a value, the best first, then the others.</summary>
    public IReadOnlyList<SweepRun> Ranked(IEnumerable<SweepRun> runs) =>
        [.. runs.OrderBy(run => run.Best is null).ThenBy(run => HighestIsBest ? -run.Best : run.Best)];

    /// <summary>Marks the runs that an earlier sweep in the folder finished, or began, with the same
    /// settings.</summary>
    public void TakeUp(IReadOnlyList<SweepRun> runs)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return;
        foreach (EarlierRun earlier in Earlier(path))
        {
            SweepRun? run = runs.FirstOrDefault(run => run.Name == earlier.Run);
            if (run is null || earlier.Settings != run.Settings) continue;
            if (earlier.State == "finished") run.State = "finished";
            run.Resumes = true;
        }
    }

    /// <summary>The folders of a sweep's runs that have begun, the best first; null if the folder is not a
    /// sweep's.</summary>
    /// <param name="folder">A folder.</param>
    /// <exception cref="InputException">Its file is damaged.</exception>
    public static IReadOnlyList<string>? Runs(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return null;
        (string metric, IReadOnlyList<EarlierRun> runs) = Read(path);
        bool highest = IsHighestBest(metric);
        return [.. runs.OrderBy(run => run.Best is null).ThenBy(run => highest ? -run.Best : run.Best)
            .Select(run => Path.Combine(folder, run.Run))
            .Where(run => File.Exists(Path.Combine(run, "metrics.jsonl"))
            || File.Exists(Path.Combine(run, "recipe.yaml")))];
    }

    /// <summary>Reads a run's metrics so far.</summary>
    public void Measure(SweepRun run)
    {
        string path = Path.Combine(run.Folder, "metrics.jsonl");
        MetricSeries? measured = File.Exists(path) ? RunMetrics.Read(path).Series.GetValueOrDefault(metric) : null;
        run.Curve = [.. (measured?.Curve() ?? []).Where(point => point.Step > 0)];
        MetricPoint? best = HighestIsBest ? measured?.HighestOfSteps : measured?.LowestOfSteps;
        (run.Best, run.BestStep) = (best?.Value, best?.Step);
    }

    /// <summary>Writes the file atomically.</summary>
    public void Write(IReadOnlyList<SweepRun> runs)
    {
        lock (writing)
        {
            IReadOnlyList<SweepRun> ranked = Ranked(runs);
            AtomicFile.Write(Path.Combine(folder, FileName), JsonSerializer.Serialize(new
            {
                metric,
                best = ranked is [{ Best: not null } first, ..] ? first.Name : null,
                grid = axes.Select(axis => new { key = axis.Key, values = axis.Values }),
                runs = runs.Select(run => new
                {
                    run = run.Name, state = run.State, values = run.Values, best = run.Best, best_step = run.BestStep,
                    seconds = run.Seconds, overrides = run.Overrides, settings = run.Settings,
                }),
            }, JsonOutput.Indented));
        }
    }

    private static bool IsHighestBest(string metric) =>
        !new[] { "loss", "error", "perplexity" }.Any(word => metric.Contains(word, StringComparison.Ordinal));

    private static IReadOnlyList<EarlierRun> Earlier(string path)
    {
        try
        {
            return Read(path).Runs;
        }
        catch (InputException e)
        {
            throw new InputException(
                $"{e.Message} Move the file away, or choose another --output. The file records the finished runs; " +
                "without it they would run again.", e);
        }
    }

    private static (string Metric, IReadOnlyList<EarlierRun> Runs) Read(string path)
    {
        string text = SmallFile.ReadText(path);
        JsonObject root;
        try
        {
            root = JsonObjects.Parse(text, "it");
        }
        catch (InputException e)
        {
            throw new InputException($"{path} is not a sweep file: {e.Message}", e);
        }
        if (root["runs"] is not JsonArray list)
            throw new InputException($"{path} is not a sweep file: runs is {Found(root["runs"])}, expected a list.");
        var runs = new List<EarlierRun>();
        var problems = new List<string>();
        for (int i = 0; i < list.Count; i++)
        {
            if (list[i] is JsonObject run && Text(run["run"]) is { Length: > 0 } name && Path.GetFileName(name) == name)
                runs.Add(
                    new EarlierRun(
                        name, Text(run["settings"]), Text(run["state"]),
                        (run["best"] as JsonValue)?.TryGetValue(out double best) == true && double.IsFinite(best)
                        ? best : null));
            else
                problems.Add(
                    $"runs[{i}] is {Found(list[i])}, expected an object with run (a folder's name), settings and " +
                    "state");
        }
        string others = problems.Count > 3 ? $"; and {problems.Count - 3} more like it" : "";
        if (problems.Count > 0)
            throw new InputException($"{path} is not a sweep file: {string.Join("; ", problems.Take(3))}{others}.");
        return (Text(root["metric"]) ?? "eval_loss", runs);
    }

    private static string? Text(JsonNode? node) => (node as JsonValue)?.TryGetValue(out string? text) == true
        ? text : null;

    private static string Found(JsonNode? node) => node?.ToJsonString(JsonOutput.Compact) is not { } json ? "null"
        : json.Length <= 60 ? json : json[..60] + "…";

    // A run from the file of an earlier sweep.
    private sealed record EarlierRun(string Run, string? Settings, string? State, double? Best);
}
