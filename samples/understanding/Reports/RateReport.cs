namespace LowRank.Samples.Understanding.Reports;

/// <summary>Loss by learning rate, for LoRA and for full training.</summary>
internal sealed class RateReport : IReport
{
    public string Name => "rate";

    public string Table(Results results) => Show.Table(["learning rate", "LoRA, rank 16", "full training"],
        Runs.LoraRates.Concat(Runs.FullRates).Distinct().Order().Select(rate => (IReadOnlyList<string>)
            [Show.Rate(rate), Cell(results, Runs.Lora(16, rate)), Cell(results, Runs.Full(rate))]));

    public string? Figure(Results results)
    {
        ChartSeries lora = Series(results, "LoRA, rank 16", Runs.LoraRates.Select(rate => Runs.Lora(16, rate)));
        ChartSeries full = Series(results, "full training", Runs.FullRates.Select(Runs.Full));
        List<ChartPoint> all = [.. lora.Points, .. full.Points];
        RunResult bestLora = Show.Best(results, Runs.LoraRates.Select(rate => Runs.Lora(16, rate))),
            bestFull = Show.Best(results, Runs.FullRates.Select(Runs.Full));
        return SvgChart.Lines(
            "Held-out loss by learning rate",
            $"Held-out loss after {results.Steps} steps by peak learning rate. LoRA does best at " +
            $"{Show.Rate(bestLora.LearningRate)} ({Show.Loss(bestLora.HeldOutLoss)}), full training at " +
                $"{Show.Rate(bestFull.LearningRate)} ({Show.Loss(bestFull.HeldOutLoss)}).",
            ChartAxis.Around("peak learning rate (logarithmic)", all.Select(point => point.X), logarithmic: true)
                .AtDecades(),
            ChartAxis.Around(
                "held-out loss, nats a token (logarithmic)", all.Select(point => point.Y), logarithmic: true),
                [lora, full]);
    }

    private static string Cell(Results results, RunSpec spec) => results.Find(spec.Name) is { } run
        ? Show.Loss(run.HeldOutLoss) : "";

    private static ChartSeries Series(Results results, string name, IEnumerable<RunSpec> specs) => new(name,
        [.. specs.Select(spec => results.Run(spec.Name)).Where(run => run.HeldOutLoss is not null)
            .Select(run => new ChartPoint(run.LearningRate, run.HeldOutLoss!.Value))]);
}
