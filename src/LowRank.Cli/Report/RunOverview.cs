using LowRank.Cli.Views;
using LowRank.Recipes.Runs;
using static LowRank.Cli.Report.HtmlElement;

namespace LowRank.Cli.Report;

/// <summary>What the runs came to: a list for one, a table for several with the best held-out loss marked.</summary>
internal static class RunOverview
{
    private static readonly (string Label, Func<RunRecord, string?> Value)[] Facts =
    [
        ("State", State),
        ("Steps", Steps),
        ("Last training loss", run => Last(run, "loss")),
        ("Best held-out loss", run => RunComparison.BestLoss(run) is { } best ? $"{Figures.Number(best.Value)} at step {Figures.Whole(best.Step)}" : null),
        ("Last held-out loss", run => Last(run, "eval_loss")),
        ("Trained weights", Weights),
        ("Size on disk", run => run.SavedBytes is { } bytes ? Figures.Bytes(bytes) : null),
        ("Time in steps", run => run.Facts.Seconds is { } seconds && seconds is >= 0 and < 1e11 ? Durations.Show(TimeSpan.FromSeconds(seconds)) : null),
        ("Tokens a second", run => run.Facts is { Tokens: { } tokens, Seconds: > 0 and var seconds } ? Figures.Whole((long)Math.Min(1e15, tokens / seconds)) : run.Metrics.Series.GetValueOrDefault("tokens_per_second") is { Count: > 0 } rates ? Figures.Whole((long)Math.Clamp(rates.Last.Value, 0, 1e15)) : null),
        ("Peak memory", run => run.Facts.PeakMemoryBytes is { } bytes ? Figures.Bytes(bytes) : null),
    ];

    /// <summary>The section's content.</summary>
    public static HtmlElement Show(IReadOnlyList<RunRecord> runs)
    {
        var known = Facts.Where(fact => runs.Any(run => fact.Value(run) is not null)).ToList();
        if (runs.Count == 1) return E("dl", Class("facts"), known.Select(fact => E("div", E("dt", fact.Label), E("dd", fact.Value(runs[0])))));
        RunRecord? best = RunComparison.Best(runs);
        return PageTable.Scrolling("The runs side by side", E("table", Class("runs"),
            E("thead", E("tr", E("th", A("scope", "col"), "Run"), known.Select(fact => E("th", A("scope", "col"), fact.Label)))),
            E("tbody", runs.Select((run, place) => E("tr", run == best ? Class("best") : null,
                E("th", A("scope", "row"), RunLook.Sample(place), " ", run.Name),
                known.Select(fact => E("td", fact.Value(run) ?? "–", run == best && fact.Label == "Best held-out loss" ? E("strong", Class("badge"), "best") : null)))))));
    }

    private static string State(RunRecord run) => run switch
    {
        { Writer: not null } => "in progress",
        { Facts.State: RunFacts.Finished } => "finished",
        { Facts.State: RunFacts.Stopped } => "ended before its last planned step",
        { Facts.State: RunFacts.Running } => "cut off: its process ended before its last step",
        { SavedBytes: not null } => "ended",
        _ => "not known",
    };

    private static string? Steps(RunRecord run)
    {
        long? steps = run.Metrics.LastStep is { } last ? Math.Max(last, run.Facts.Steps ?? 0) : run.Facts.Steps;
        if (steps is null) return null;
        return run.Facts.PlannedSteps is { } planned ? $"{Figures.Whole(steps.Value)} of {Figures.Whole(planned)}" : Figures.Whole(steps.Value);
    }

    private static string? Weights(RunRecord run) => run.Facts switch
    {
        { TrainedParameters: { } trained, TotalParameters: > 0 and var total } => $"{Figures.Whole(trained)} of {Figures.Whole(total)} ({100.0 * trained / total:f2} %)",
        { TrainedParameters: { } trained } => Figures.Whole(trained),
        _ => null,
    };

    private static string? Last(RunRecord run, string series) =>
        run.Metrics.Series.GetValueOrDefault(series) is { Count: > 0 } found ? Figures.Number(found.Last.Value) : null;
}
