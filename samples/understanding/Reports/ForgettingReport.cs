namespace LowRank.Samples.Understanding.Reports;

/// <summary>What adapting costs on the base's own kind of text.</summary>
internal sealed class ForgettingReport : IReport
{
    public string Name => "forgetting";

    public string Table(Results results)
    {
        RunResult before = results.Untrained!;
        IEnumerable<(string, RunResult)> rows =
            [("before adapting", before), ("LoRA, rank 2", results.Run("lora-r2")),
            ("LoRA, rank 16", results.Run("lora-r16")),
            .. Runs.FullRates.Select(rate => results.Run(Runs.Full(rate).Name))
            .Select(run => ($"full training at {Show.Rate(run.LearningRate)}", run))];
        return Show.Table(["", "held-out loss, hotels", "loss on the base's own text", "change", "perplexity"],
            rows.Select(row => (IReadOnlyList<string>)
            [row.Item1, Show.Loss(row.Item2.HeldOutLoss), Show.Loss(row.Item2.BaseTextLoss), row.Item2 == before ? ""
                : Show.Change(before.BaseTextLoss, row.Item2.BaseTextLoss),
                row.Item2.BaseTextLoss is { } loss ? $"{Math.Exp(loss):0.0}" : "diverged"]));
    }

    public string? Figure(Results results)
    {
        ChartSeries[] series =
        [
            Series(results, "LoRA, ranks 1 to 32 at 5e-3", Runs.Ranks, run => $"r {run.Rank}"),
            Series(results, "full training by rate", Runs.FullRates.Select(Runs.Full),
            run => Show.Rate(run.LearningRate)),
            Series(results, "LoRA, rank 16, by rate", Runs.LoraRates.Select(rate => Runs.Lora(16, rate)),
            run => Show.Rate(run.LearningRate)),
        ];
        List<ChartPoint> all = [.. series.SelectMany(line => line.Points)];
        double before = results.Untrained!.BaseTextLoss!.Value;
        RunResult low = results.Run("lora-r2"), high = results.Run("lora-r16");
        return SvgChart.Lines(
            "Learned against forgotten",
            "Loss on the base's own text after training over the held-out loss of the task, both lower is better, " +
            $"for runs that at least halved the latter. Before training {Show.Loss(before)}; " +
            $"LoRA rank 2 {Show.Loss(low.BaseTextLoss)}, rank 16 {Show.Loss(high.BaseTextLoss)}; full training " +
            string.Join(", ", series[1].Points.Select(point => $"at {point.Label} {Show.Loss(point.Y)}")) + ".",
            ChartAxis.Around(
                "held-out loss of the task, nats a token (logarithmic; left is better)", all.Select(point => point.X),
                logarithmic: true),
            ChartAxis.Around("loss on the base's own text (lower is better)", [.. all.Select(point => point.Y), before],
                fromZero: true), series, (before, "the base before training"));
    }

    private static ChartSeries Series(
        Results results, string name, IEnumerable<RunSpec> specs, Func<RunResult, string> label) => new(name,
        [.. specs.Select(spec => results.Run(spec.Name))
            // what learned little or broke would squeeze the rest
            .Where(run => run.HeldOutLoss < results.Untrained!.HeldOutLoss / 2)
            .Select(run => new ChartPoint(run.HeldOutLoss!.Value, run.BaseTextLoss!.Value, label(run)))]);
}
