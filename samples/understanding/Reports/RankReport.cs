namespace LowRank.Samples.Understanding.Reports;

/// <summary>Loss, facts and size by rank.</summary>
internal sealed class RankReport : IReport
{
    public string Name => "rank";

    public string Table(Results results) =>
        Show.Table(["rank", "trained weights", "of the base", "adapter file", "held-out loss", "facts right"],
        Runs.Ranks.Select(spec => results.Run(spec.Name)).Select(run => (IReadOnlyList<string>)
            [$"{run.Rank}", Show.Weights(run.TrainedWeights),
                Show.Percent((double)run.TrainedWeights / results.BaseWeights), Show.Bytes(run.SavedBytes),
                Show.Loss(run.HeldOutLoss), Show.Percent(run.FactShare)]));

    public string? Figure(Results results)
    {
        List<ChartPoint> points = [.. Runs.Ranks.Select(spec => results.Run(spec.Name))
            .Select(run =>
            new ChartPoint(
                run.Rank!.Value, run.HeldOutLoss!.Value,
                $"{Show.Loss(run.HeldOutLoss)} · {Show.Bytes(run.SavedBytes)}"))];
        return SvgChart.Lines(
            "Held-out loss by rank",
            $"Held-out loss after {results.Steps} steps for ranks 1 to 32 on every linear layer: " +
            string.Join(", ", points.Select(point => $"rank {point.X}: {point.Label}")) + ".",
            new ChartAxis("rank (doubling)", [.. Runs.RankSteps.Select(rank => (double)rank)], IsLogarithmic: true),
            ChartAxis.Around("held-out loss, nats a token", points.Select(point => point.Y), fromZero: true),
            [new ChartSeries("LoRA, every linear layer; label: loss and size of the file", points)]);
    }
}
