namespace LowRank.Samples.Understanding.Reports;

/// <summary>LoRA, full training, and parts of the model trained whole.</summary>
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
            "held-out loss, nats a token (shorter is better) · thousands of weights trained", bars);
    }

    // Each at the best of the rates that it was given.
    private static IEnumerable<(string Name, RunResult Run)> Rows(Results results) =>
    [
        ("LoRA, rank 16", Show.Best(results, Runs.LoraRates.Select(rate => Runs.Lora(16, rate)))),
        ("every weight", Show.Best(results, Runs.FullRates.Select(Runs.Full))),
        ("the last block, whole", Show.Best(results, Runs.PartRates.Select(Runs.LastBlock))),
        ("embedding and head (tied)", Show.Best(results, Runs.PartRates.Select(Runs.Head))),
    ];
}
