namespace LowRank.Samples.Understanding.Reports;

/// <summary>The same run with three seeds: how much of a difference is chance.</summary>
internal sealed class SeedsReport : IReport
{
    public string Name => "seeds";

    public string Table(Results results) =>
        Show.Table(["seed", "held-out loss", "facts right", "loss on the base's own text"],
        Runs.Seeds.Select(spec => results.Run(spec.Name)).Select(run => (IReadOnlyList<string>)
            [$"{run.Seed}", Show.Loss(run.HeldOutLoss), Show.Percent(run.FactShare), Show.Loss(run.BaseTextLoss)]));

    public string? Figure(Results results) => null;
}
