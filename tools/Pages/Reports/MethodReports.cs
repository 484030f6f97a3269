using LowRank.Adapters;

namespace LowRank.Pages.Reports;

/// <summary>All methods on one task: trained weights, cost and results.</summary>
internal sealed class ExperimentsReport : IReport
{
    private static readonly string[] Prompts = ["prompt_tuning", "prefix_tuning"],
        OtherShapes = ["loha", "lokr", "vera", "ia3"];

    // Nine methods train the same number of weights; only the plain pairs and the best of the nine are labelled.
    private static readonly string[] Labelled =
        ["lora", "lora_fa", "adalora", "lokr", "vera", "ia3", "loha", "prompt_tuning", "prefix_tuning",
        "pissa", "full"];

    public string Name => "ways";

    public string Table(Results results)
    {
        CostResult reference = Cost(results, "lora");
        return Show.Table(
            ["method", "trained weights", "file", "time per step", "memory", "rate", "held-out loss, two seeds",
            "facts right", "base's own text"],
            Experiments.All.Select(
                way => (way.Method, Cost: Cost(results, way.Method), Runs: Experiments.BestOfSeeds(way, results)))
            .Select(row => (IReadOnlyList<string>)
            [
                row.Method == "full" ? "full training" : $"[{Title(row.Method)}](#{row.Method})",
                    Show.Weights(row.Runs[0].TrainedWeights), Show.Bytes(row.Runs[0].SavedBytes),
                $"{row.Cost.ProcessorSecondsPerStep / reference.ProcessorSecondsPerStep:0.00}",
                    $"{row.Cost.MemoryBytes / 1e6:0} MB", Show.Rate(row.Runs[0].LearningRate),
                Show.Spread([.. row.Runs.Select(run => run.HeldOutLoss!.Value)], "0.000"),
                    Show.Percent(row.Runs.Average(run => run.FactShare)),
                    Show.Loss(row.Runs.Average(run => run.BaseTextLoss)),
            ]));
    }

    public string? Figure(Results results)
    {
        ChartSeries[] series =
        [
            Series(results, "LoRA and its variants", way => !Prompts.Contains(way) && !OtherShapes.Contains(way)
                && way != "full"),
            Series(results, "other shapes", OtherShapes.Contains), Series(results, "prompts", Prompts.Contains),
                Series(results, "full training", way => way == "full"),
        ];
        List<ChartPoint> all = [.. series.SelectMany(line => line.Points)];
        double before = results.Untrained!.HeldOutLoss!.Value;
        return SvgChart.Lines(
            "Held-out loss by trained weights",
            $"Held-out loss after {results.Steps} steps, mean of two seeds at each method's best rate, over the " +
            "number of trained weights: " +
            string.Join(", ", Experiments.All.Select(way => $"{Title(way.Method)} {Loss(way, results):0.000}")) + ".",
            ChartAxis.Around("trained weights (logarithmic)", all.Select(point => point.X), logarithmic: true)
            .AtDecades(),
            ChartAxis.Around("held-out loss, nats per token (logarithmic)", [.. all.Select(point => point.Y), before],
            logarithmic: true), series, (before, "the base before training"));
    }

    private static ChartSeries Series(Results results, string name, Func<string, bool> belongs) => new(name,
        [.. Experiments.All.Where(way => belongs(way.Method))
            .Select(way =>
            new ChartPoint(
                Experiments.Best(way, results).TrainedWeights, Loss(way, results), Labelled.Contains(way.Method)
            ? Title(way.Method) : null))], IsJoined: false);

    private static double Loss(Experiment way, Results results) =>
        Experiments.BestOfSeeds(way, results).Average(run => run.HeldOutLoss!.Value);

    private static string Title(string method) => method == "full" ? "full training" : AdapterMethods.Get(method).Title;

    private static CostResult Cost(Results results, string method) =>
        results.Costs.FirstOrDefault(cost => cost.Method == method)
        ?? throw new InputException(
            $"results.json has no costs of {method}. Measure them: run tools/Pages with --only costs.");
}

/// <summary>LoRA, full training, and parts of the model trained in full.</summary>
internal sealed class MethodsReport : IReport
{
    public string Name => "methods";

    public string Table(Results results) =>
        Show.Table(["what is trained", "weights", "rate", "saved", "held-out loss", "facts right"],
        Rows(results).Select(
            row => (IReadOnlyList<string>)[
                row.Name, Show.Weights(row.Run.TrainedWeights), Show.Rate(row.Run.LearningRate),
            Show.Bytes(row.Run.SavedBytes), Show.Loss(row.Run.HeldOutLoss), Show.Percent(row.Run.FactShare)]));

    public string? Figure(Results results)
    {
        List<ChartBar> bars = [.. Rows(results).Select((row, i) =>
            new ChartBar(row.Name, row.Run.HeldOutLoss!.Value,
                $"{Show.Loss(row.Run.HeldOutLoss)} · {row.Run.TrainedWeights / 1000.0:N0} k", i == 0 ? 0
                : i == 1 ? 1 : 3))];
        return SvgChart.Bars(
            "What is trained, and how well it does",
            $"Held-out loss after {results.Steps} steps: " +
            $"{string.Join(", ", bars.Select(bar => $"{bar.Name} {bar.Label} weights"))}.",
            "held-out loss, nats per token (shorter is better) · thousands of weights trained", bars);
    }

    // Each at its best rate.
    private static IEnumerable<(string Name, RunResult Run)> Rows(Results results) =>
    [
        ("LoRA, rank 16", Show.Best(results, Runs.LoraRates.Select(rate => Runs.Lora(16, rate)))),
        ("every weight", Show.Best(results, Runs.FullRates.Select(Runs.Full))),
        ("the whole last block", Show.Best(results, Runs.PartRates.Select(Runs.LastBlock))),
        ("embedding and head (tied)", Show.Best(results, Runs.PartRates.Select(Runs.Head))),
    ];
}

/// <summary>Time per generated token, merged and unmerged.</summary>
internal sealed class LatencyReport : IReport
{
    public string Name => "latency";

    public string Table(Results results) =>
        Show.Table(["rank", "base, ms per token", "adapter attached", "merged", "attached / base", "merged / base"],
        results.Latencies.Select(
            time => (IReadOnlyList<string>)[
                $"{time.Rank}", $"{time.BaseMilliseconds:0.00}", $"{time.UnmergedMilliseconds:0.00}",
                $"{time.MergedMilliseconds:0.00}",
            $"{time.UnmergedMilliseconds / time.BaseMilliseconds:0.00}",
                $"{time.MergedMilliseconds / time.BaseMilliseconds:0.00}"]));

    public string? Figure(Results results)
    {
        List<ChartBar> bars = [.. results.Latencies.SelectMany(time => new ChartBar[]
        {
            new($"rank {time.Rank}, attached", time.UnmergedMilliseconds / time.BaseMilliseconds,
                $"{time.UnmergedMilliseconds / time.BaseMilliseconds:0.00} ×", 1),
            new($"rank {time.Rank}, merged", time.MergedMilliseconds / time.BaseMilliseconds,
                $"{time.MergedMilliseconds / time.BaseMilliseconds:0.00} ×"),
        })];
        return SvgChart.Bars("Time per generated token, relative to the base alone",
            "Shortest time per token in greedy generation with a cache, as a multiple of the base's: " +
                $"{string.Join(", ", bars.Select(bar => $"{bar.Name} {bar.Label}"))}.",
            "multiple of the base's time (shorter is better)", [new ChartBar("base, no adapter", 1, "1", 2), .. bars]);
    }
}
