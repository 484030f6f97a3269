namespace LowRank.Pages.Reports;

/// <summary>Loss, facts and size by rank.</summary>
internal sealed class RankReport : IReport
{
    public string Name => "rank";

    public string Table(Results results) =>
        Show.Table(["rank", "trained weights", "share of the base", "adapter file", "held-out loss", "facts right"],
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
            ChartAxis.Around("held-out loss, nats per token", points.Select(point => point.Y), fromZero: true),
            [new ChartSeries("LoRA, every linear layer; labels: loss and file size", points)]);
    }
}

/// <summary>Loss by the scale alpha / rank and the learning rate.</summary>
internal sealed class AlphaReport : IReport
{
    public string Name => "alpha";

    public string Table(Results results) =>
        Show.Table(["learning rate", "s = 0.5 (alpha 8)", "s = 2 (alpha 32)", "s = 8 (alpha 128)"],
        Runs.LoraRates.SkipLast(1).Select(rate => (IReadOnlyList<string>)
            [Show.Rate(rate), Cell(results, $"alpha8-rate{rate}"), Cell(results, Runs.Lora(16, rate).Name),
                Cell(results, $"way-rslora-rate{rate}")]));

    public string? Figure(Results results) => null;

    // The scale of rsLoRA at rank 16 and alpha 32, 32 / √16, is that of LoRA at alpha 128.
    private static string Cell(Results results, string name) => results.Find(name) is { } run
        ? Show.Loss(run.HeldOutLoss) : "";
}

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

/// <summary>Which layers matter, at about the same number of weights.</summary>
internal sealed class PlacesReport : IReport
{
    private static readonly Dictionary<string, string> Names = new()
    {
        ["lora-r4"] = "every linear layer",
        ["place-query-value"] = "query and value",
        ["place-attention"] = "all of attention",
        ["place-feed-forward"] = "feed-forward only",
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
        return SvgChart.Bars("Placement of the pairs, at about the same number of weights",
            $"Held-out loss after {results.Steps} steps: " +
                $"{string.Join(", ", bars.Select(bar => $"{bar.Name} {bar.Label}"))}.",
                "held-out loss, nats per token (shorter is better)", bars);
    }

    private static IEnumerable<RunResult> Rows(Results results) => Runs.Places.Select(spec => results.Run(spec.Name));
}

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
                "held-out loss, nats per token (logarithmic)", all.Select(point => point.Y), logarithmic: true),
                [lora, full]);
    }

    private static string Cell(Results results, RunSpec spec) => results.Find(spec.Name) is { } run
        ? Show.Loss(run.HeldOutLoss) : "";

    private static ChartSeries Series(Results results, string name, IEnumerable<RunSpec> specs) => new(name,
        [.. specs.Select(spec => results.Run(spec.Name)).Where(run => run.HeldOutLoss is not null)
            .Select(run => new ChartPoint(run.LearningRate, run.HeldOutLoss!.Value))]);
}

/// <summary>One run with three seeds, to show how much of a difference is chance.</summary>
internal sealed class SeedsReport : IReport
{
    public string Name => "seeds";

    public string Table(Results results) =>
        Show.Table(["seed", "held-out loss", "facts right", "loss on the base's own text"],
        Runs.Seeds.Select(spec => results.Run(spec.Name)).Select(run => (IReadOnlyList<string>)
            [$"{run.Seed}", Show.Loss(run.HeldOutLoss), Show.Percent(run.FactShare), Show.Loss(run.BaseTextLoss)]));

    public string? Figure(Results results) => null;
}

/// <summary>LoRA with different initializations, each at its best rate, with two seeds.</summary>
internal sealed class StartsReport : IReport
{
    private static readonly string[] Starts = ["lora", "orthogonal", "eva", "pissa", "olora", "corda", "lora_ga"];

    public string Name => "starts";

    public string Table(Results results) =>
        Show.Table(["start", "rate", "held-out loss, two seeds", "facts right", "loss on the base's own text"],
        Starts.Select(name => Experiments.All.Single(way => way.Method == name))
        .Select(way => (way, Runs: Experiments.BestOfSeeds(way, results))).Select(row => (IReadOnlyList<string>)
        [
            $"`{row.way.Method}`", Show.Rate(row.Runs[0].LearningRate),
                Show.Spread([.. row.Runs.Select(run => run.HeldOutLoss!.Value)], "0.000"),
            Show.Percent(row.Runs.Average(run => run.FactShare)), Show.Loss(row.Runs.Average(run => run.BaseTextLoss)),
        ]));

    public string? Figure(Results results) => null;
}

/// <summary>The loss that adapting causes on the base's own kind of text.</summary>
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
            "Learning and forgetting",
            "Loss on the base's own text after training over the held-out loss of the task, both lower is better, " +
            $"for runs that at least halved the latter. Before training {Show.Loss(before)}; " +
            $"LoRA rank 2 {Show.Loss(low.BaseTextLoss)}, rank 16 {Show.Loss(high.BaseTextLoss)}; full training " +
            string.Join(", ", series[1].Points.Select(point => $"at {point.Label} {Show.Loss(point.Y)}")) + ".",
            ChartAxis.Around(
                "held-out loss of the task, nats per token (logarithmic; left is better)", all.Select(point => point.X),
                logarithmic: true),
            ChartAxis.Around("loss on the base's own text (lower is better)", [.. all.Select(point => point.Y), before],
                fromZero: true), series, (before, "the base before training"));
    }

    private static ChartSeries Series(
        Results results, string name, IEnumerable<RunSpec> specs, Func<RunResult, string> label) => new(name,
        [.. specs.Select(spec => results.Run(spec.Name))
            // runs that learned little or diverged would squeeze the others
            .Where(run => run.HeldOutLoss < results.Untrained!.HeldOutLoss / 2)
            .Select(run => new ChartPoint(run.HeldOutLoss!.Value, run.BaseTextLoss!.Value, label(run)))]);
}
