using LowRank.Adapters.Methods;

namespace LowRank.Samples.Understanding.Reports;

/// <summary>All methods on one task: what they train, take and reach.</summary>
internal sealed class WaysReport : IReport
{
    private static readonly string[] Prompts = ["prompt_tuning", "prefix_tuning"],
        OtherShapes = ["loha", "lokr", "vera", "ia3"];

    // Where nine methods train as many weights, the plain pairs and the best of the nine carry a name.
    private static readonly string[] Labelled =
        ["lora", "lora_fa", "adalora", "lokr", "vera", "ia3", "loha", "prompt_tuning", "prefix_tuning",
        "pissa", "full"];

    public string Name => "ways";

    public string Table(Results results)
    {
        CostResult reference = Cost(results, "lora");
        return Show.Table(
            ["method", "trained weights", "file", "time a step", "memory", "rate", "held-out loss, two seeds",
            "facts right", "base's own text"],
            Ways.All.Select(way => (way.Method, Cost: Cost(results, way.Method), Runs: Ways.BestOfSeeds(way, results)))
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
            string.Join(", ", Ways.All.Select(way => $"{Title(way.Method)} {Loss(way, results):0.000}")) + ".",
            ChartAxis.Around("trained weights (logarithmic)", all.Select(point => point.X), logarithmic: true)
            .AtDecades(),
            ChartAxis.Around("held-out loss, nats a token (logarithmic)", [.. all.Select(point => point.Y), before],
            logarithmic: true), series, (before, "the base before training"));
    }

    private static ChartSeries Series(Results results, string name, Func<string, bool> belongs) => new(name,
        [.. Ways.All.Where(way => belongs(way.Method))
            .Select(way =>
            new ChartPoint(Ways.Best(way, results).TrainedWeights, Loss(way, results), Labelled.Contains(way.Method)
            ? Title(way.Method) : null))], IsJoined: false);

    private static double Loss(Way way, Results results) =>
        Ways.BestOfSeeds(way, results).Average(run => run.HeldOutLoss!.Value);

    private static string Title(string method) => method == "full" ? "full training" : AdapterMethods.Get(method).Title;

    private static CostResult Cost(Results results, string method) =>
        results.Costs.FirstOrDefault(cost => cost.Method == method)
        ?? throw new InputException(
            $"results.json has no costs of {method}. Measure them: run samples/understanding with --only costs.");
}
