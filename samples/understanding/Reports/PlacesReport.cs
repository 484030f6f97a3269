namespace LowRank.Samples.Understanding.Reports;

/// <summary>Which layers matter, at about the same number of weights.</summary>
internal sealed class PlacesReport : IReport
{
    private static readonly Dictionary<string, string> Names = new()
    {
        ["lora-r4"] = "every linear layer",
        ["place-query-value"] = "query and value",
        ["place-attention"] = "all of attention",
        ["place-feed-forward"] = "feed-forward alone",
        ["place-first-two"] = "all linear, first 2 blocks",
        ["place-last-two"] = "all linear, last 2 blocks",
    };

    public string Name => "places";

    public string Table(Results results) =>
        Show.Table(["adapted", "rank", "trained weights", "held-out loss", "facts right"],
        Rows(results).Select(
            run => (IReadOnlyList<string>)[
                Names[run.Name], $"{run.Rank}", Show.Weights(run.TrainedWeights), Show.Loss(run.HeldOutLoss),
                Show.Percent(run.FactShare)]));

    public string? Figure(Results results)
    {
        List<ChartBar> bars =
            [.. Rows(results)
            .Select(run =>
            new ChartBar(Names[run.Name], run.HeldOutLoss!.Value, $"{Show.Loss(run.HeldOutLoss)} · rank {run.Rank}",
            run.Name.Contains("two", StringComparison.Ordinal) ? 1 : 0))];
        return SvgChart.Bars("Where the pairs sit, at about the same number of weights",
            $"Held-out loss after {results.Steps} steps: " +
                $"{string.Join(", ", bars.Select(bar => $"{bar.Name} {bar.Label}"))}.",
                "held-out loss, nats a token (shorter is better)", bars);
    }

    private static IEnumerable<RunResult> Rows(Results results) => Runs.Places.Select(spec => results.Run(spec.Name));
}
