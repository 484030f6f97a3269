namespace LowRank.Samples.Understanding.Reports;

/// <summary>Loss by dropout on the input of A.</summary>
internal sealed class DropoutReport : IReport
{
    public string Name => "dropout";

    public string Table(Results results) =>
        Show.Table(["dropout", "held-out loss", "facts right", "loss on the base's own text"],
        Runs.Dropouts.Select(spec => (spec.Dropout, Run: results.Run(spec.Name))).Select(row => (IReadOnlyList<string>)
            [$"{row.Dropout:0.0}", Show.Loss(row.Run.HeldOutLoss), Show.Percent(row.Run.FactShare),
                Show.Loss(row.Run.BaseTextLoss)]));

    public string? Figure(Results results) => null;
}
