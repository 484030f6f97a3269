namespace LowRank.Samples.Understanding.Reports;

/// <summary>LoRA from different first values, each at the best of its rates, with two seeds.</summary>
internal sealed class StartsReport : IReport
{
    private static readonly string[] Starts = ["lora", "orthogonal", "eva", "pissa", "olora", "corda", "lora_ga"];

    public string Name => "starts";

    public string Table(Results results) =>
        Show.Table(["start", "rate", "held-out loss, two seeds", "facts right", "loss on the base's own text"],
        Starts.Select(name => Ways.All.Single(way => way.Method == name))
        .Select(way => (way, Runs: Ways.BestOfSeeds(way, results))).Select(row => (IReadOnlyList<string>)
        [
            $"`{row.way.Method}`", Show.Rate(row.Runs[0].LearningRate),
                Show.Spread([.. row.Runs.Select(run => run.HeldOutLoss!.Value)], "0.000"),
            Show.Percent(row.Runs.Average(run => run.FactShare)), Show.Loss(row.Runs.Average(run => run.BaseTextLoss)),
        ]));

    public string? Figure(Results results) => null;
}
