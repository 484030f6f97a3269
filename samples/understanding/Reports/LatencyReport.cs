namespace LowRank.Samples.Understanding.Reports;

/// <summary>Time a generated token, merged and not.</summary>
internal sealed class LatencyReport : IReport
{
    public string Name => "latency";

    public string Table(Results results) =>
        Show.Table(["rank", "base, ms a token", "adapter in its slots", "merged", "in slots / base", "merged / base"],
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
            new($"rank {time.Rank}, in its slots", time.UnmergedMilliseconds / time.BaseMilliseconds,
                $"{time.UnmergedMilliseconds / time.BaseMilliseconds:0.00} ×", 1),
            new($"rank {time.Rank}, merged", time.MergedMilliseconds / time.BaseMilliseconds,
                $"{time.MergedMilliseconds / time.BaseMilliseconds:0.00} ×"),
        })];
        return SvgChart.Bars("Time a generated token, against the base alone",
            "Shortest time of a greedy token with cache, as a multiple of the base's: " +
                $"{string.Join(", ", bars.Select(bar => $"{bar.Name} {bar.Label}"))}.",
            "multiple of the base's time (shorter is better)", [new ChartBar("base, no adapter", 1, "1", 2), .. bars]);
    }
}
