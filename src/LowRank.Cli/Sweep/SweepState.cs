using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Recipes.Runs;
using LowRank.Tensors;

namespace LowRank.Cli.Sweep;

/// <summary>A sweep's <c>sweep.json</c>: what has been tried and what came of it. A sweep that is run again leaves out what is finished.</summary>
/// <param name="folder">The sweep's folder.</param>
/// <param name="axes">The grid.</param>
/// <param name="metric">What decides.</param>
internal sealed class SweepState(string folder, IReadOnlyList<GridAxis> axes, string metric)
{
    public const string FileName = "sweep.json";

    private static readonly JsonSerializerOptions Indented = new(JsonOutput.Compact) { WriteIndented = true };
    private readonly Lock writing = new();

    /// <summary>Whether more of the metric is better: all but losses, errors and perplexities.</summary>
    public bool HighestIsBest { get; } = !new[] { "loss", "error", "perplexity" }.Any(word => metric.Contains(word, StringComparison.Ordinal));

    /// <summary>The runs with a value, the best first, then the others.</summary>
    public IReadOnlyList<SweepRun> Ranked(IEnumerable<SweepRun> runs) =>
        [.. runs.OrderBy(run => run.Best is null).ThenBy(run => HighestIsBest ? -run.Best : run.Best)];

    /// <summary>Marks what an earlier sweep in the folder finished, or began, with the same settings.</summary>
    public void TakeUp(IReadOnlyList<SweepRun> runs)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return;
        foreach (JsonNode? earlier in Earlier(path))
        {
            SweepRun? run = runs.FirstOrDefault(run => run.Name == (string?)earlier?["run"]);
            if (run is null || (string?)earlier!["settings"] != run.Settings) continue;
            if ((string?)earlier["state"] == "finished") run.State = "finished";
            run.Resumes = true;
        }
    }

    /// <summary>Reads what a run's metrics tell by now.</summary>
    public void Measure(SweepRun run)
    {
        string path = Path.Combine(run.Folder, "metrics.jsonl");
        MetricSeries? measured = File.Exists(path) ? RunMetrics.Read(path).Series.GetValueOrDefault(metric) : null;
        run.Curve = [.. (measured?.Curve() ?? []).Where(point => point.Step > 0)];
        MetricPoint? best = HighestIsBest ? measured?.HighestOfSteps : measured?.LowestOfSteps;
        (run.Best, run.BestStep) = (best?.Value, best?.Step);
    }

    /// <summary>Writes the file, whole.</summary>
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
                    run = run.Name, state = run.State, values = run.Values, best = run.Best, best_step = run.BestStep, seconds = run.Seconds, overrides = run.Overrides,
                    settings = run.Settings,
                }),
            }, Indented));
        }
    }

    private static JsonArray Earlier(string path)
    {
        try
        {
            return JsonNode.Parse(SmallFile.ReadText(path))?["runs"] as JsonArray ?? [];
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InputException($"{path} is no sweep's file: {e.Message} Move it away, or choose another --output.", e);
        }
    }
}
