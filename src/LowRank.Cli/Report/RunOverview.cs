using LowRank.Cli.Views;
using LowRank.Recipes.Runs;
using static LowRank.Cli.Report.HtmlElement;

namespace LowRank.Cli.Report;

/// <summary>The results of the runs: a list for one run; for several, a table with the best held-out loss
/// marked.</summary>
internal static class RunOverview
{
    private static readonly (string Label, Func<RunRecord, string?> Value)[] Facts =
    [
        ("State", State),
        ("Steps", Steps),
        ("Last training loss", run => Last(run, "loss")),
        ("Best held-out loss", run => RunComparison.BestLoss(run) is { } best
        ? $"{Figures.Number(best.Value)} at step {Figures.Whole(best.Step)}" : null),
        ("Last held-out loss", run => Last(run, "eval_loss")),
        ("Trained weights", Weights),
        ("Size on disk", run => run.SavedBytes is { } bytes ? Figures.Bytes(bytes) : null),
        ("Time in steps", run => run.Facts.Seconds is { } seconds && seconds is >= 0 and < 1e11
        ? Durations.Show(TimeSpan.FromSeconds(seconds)) : null),
        ("Tokens per second", run => run.Facts is { Tokens: { } tokens, Seconds: > 0 and var seconds }
        ? Figures.Whole((long)Math.Min(1e15, tokens / seconds))
        : run.Metrics.Series.GetValueOrDefault("tokens_per_second") is { Count: > 0 } rates
        ? Figures.Whole((long)Math.Clamp(rates.Last.Value, 0, 1e15)) : null),
        ("Peak memory", run => run.Facts.PeakMemoryBytes is { } bytes ? Figures.Bytes(bytes) : null),
    ];

    /// <summary>The section's content.</summary>
    public static HtmlElement Show(IReadOnlyList<RunRecord> runs)
    {
        var known = Facts.Where(fact => runs.Any(run => fact.Value(run) is not null)).ToList();
        if (runs.Count == 1)
            return E("dl", Class("facts"),
                known.Select(fact => E("div", E("dt", fact.Label), E("dd", fact.Value(runs[0])))));
        RunRecord? best = RunComparison.Best(runs);
        return PageTable.Scrolling("The runs side by side", E("table", Class("runs"),
            E("thead", E("tr", E("th", A("scope", "col"), "Run"),
                known.Select(fact => E("th", A("scope", "col"), fact.Label)))),
            E("tbody", runs.Select((run, place) => E("tr", run == best ? Class("best") : null,
                E("th", A("scope", "row"), RunLook.Sample(place), " ", run.Name),
                known.Select(fact =>
                E("td", fact.Value(run) ?? "–", run == best && fact.Label == "Best held-out loss"
                ? E("strong", Class("badge"), "best") : null)))))));
    }

    private static string State(RunRecord run) => run switch
    {
        { Writer: not null } => "in progress",
        { Facts.State: RunFacts.Finished } => "finished",
        { Facts.State: RunFacts.Stopped } => "ended before its last planned step",
        { Facts.State: RunFacts.Running } => "interrupted: its process ended before the last step",
        { SavedBytes: not null } => "ended",
        _ => "unknown",
    };

    private static string? Steps(RunRecord run)
    {
        long? steps = run.Metrics.LastStep is { } last ? Math.Max(last, run.Facts.Steps ?? 0) : run.Facts.Steps;
        if (steps is null) return null;
        return run.Facts.PlannedSteps is { } planned ? $"{Figures.Whole(steps.Value)} of {Figures.Whole(planned)}"
            : Figures.Whole(steps.Value);
    }

    private static string? Weights(RunRecord run) => run.Facts switch
    {
        { TrainedParameters: { } trained, TotalParameters: > 0 and var total } =>
            $"{Figures.Whole(trained)} of {Figures.Whole(total)} ({100.0 * trained / total:f2} %)",
        { TrainedParameters: { } trained } => Figures.Whole(trained),
        _ => null,
    };

    private static string? Last(RunRecord run, string series) =>
        run.Metrics.Series.GetValueOrDefault(series) is { Count: > 0 } found ? Figures.Number(found.Last.Value) : null;
}

/// <summary>The look of a run's curves: colours and dashes, so they can be told apart without colours too.</summary>
internal static class RunLook
{
    private const int Colours = 8, Dashes = 4;

    /// <summary>The number of runs that look different.</summary>
    public const int Most = Colours * Dashes;

    /// <summary>The classes of a run's curves.</summary>
    /// <param name="run">Its number from 0.</param>
    public static string Class(int run) => $"c{run % Colours} d{(run + run / Colours) % Dashes}";

    /// <summary>A sample of a run's line, for legends.</summary>
    public static HtmlElement Sample(int run) =>
        E("svg", HtmlElement.Class("sample"), A("viewBox", "0 0 36 10"), A("aria-hidden", "true"),
        E("path", HtmlElement.Class($"curve held-out {Class(run)}"), A("d", "M1 5L35 5")));
}

/// <summary>The data that the runs learned from.</summary>
internal static class RunData
{
    /// <summary>The section's content.</summary>
    public static IEnumerable<HtmlElement> Show(IReadOnlyList<RunRecord> runs)
    {
        var rows = runs.SelectMany(
            run => new[] { (Run: run, Part: "training", Facts: run.Facts.Training),
            (Run: run, Part: "held out", Facts: run.Facts.Validation) })
            .Where(row => row.Facts is not null).ToList();
        bool several = runs.Count > 1;
        if (rows.Count > 0)
            yield return PageTable.Scrolling("Rows of data", E("table",
                E("thead", E("tr", several ? E("th", A("scope", "col"), "Run") : null,
                    new[] { "Rows", "Number", "Tokens", "Labels learned", "Longest row (tokens)" }.Select(
                        head => E("th", A("scope", "col"), head)))),
                E("tbody", rows.Select(
                    row => E("tr", several ? E("th", A("scope", "row"), row.Run.Name)
                    : null, E(several ? "td" : "th", several ? null : A("scope", "row"), row.Part),
                    new[] { row.Facts!.Rows, row.Facts.Tokens, row.Facts.Labels, row.Facts.Longest }.Select(
                        number => E("td", Class("number"), Figures.Whole(number))))))));
        if (rows.Count < runs.Count)
        {
            string[] unknown = [.. runs.Where(run => run.Facts.Training is null).Select(run => run.Name)];
            if (unknown.Length > 0)
                yield return E(
                    "p", $"The number of rows is unknown for {string.Join(", ", unknown)}: run.json does not contain " +
                    "it.");
        }
        foreach (RunRecord run in runs)
        {
            string[] notes = [.. run.Facts.Notes, .. run.Facts.Advice.Select(advice => $"Advice: {advice}")];
            if (notes.Length == 0) continue;
            if (several) yield return E("h3", run.Name);
            yield return E("ul", Class("notes"), notes.Select(note => E("li", note)));
        }
    }
}

/// <summary>Formats numbers for the page; the page's script uses the same formats.</summary>
internal static class Figures
{
    // for ticks; smaller values are written with an exponent, or without a suffix
    private const int MostDecimals = 5, MostShortDecimals = 3;

    /// <summary>Four digits: 0.1143, 12,345, 2.5e-5.</summary>
    public static string Number(double value) => Math.Abs(value) switch
    {
        0 => "0",
        >= 1e15 or < 9.9995e-4 => value.ToString("0.###e0"),
        >= 9999.5 => value.ToString("n0"),
        _ => value.ToString("G4"),
    };

    /// <summary>A whole number with thousands separators.</summary>
    public static string Whole(long value) => value.ToString("n0");

    /// <summary>A size such as 1.12 MB, with a non-breaking space.</summary>
    public static string Bytes(long bytes) => bytes switch
    {
        >= 1_000_000_000 => $"{bytes / 1e9:f2}\u00A0GB",
        >= 1_000_000 => $"{bytes / 1e6:f2}\u00A0MB",
        >= 1_000 => $"{bytes / 1e3:f1}\u00A0kB",
        _ => $"{bytes}\u00A0bytes",
    };

    /// <summary>A tick of a scale: 0.05, 20k, 1.5M.</summary>
    /// <param name="value">Its value.</param>
    /// <param name="step">The distance between ticks, which determines the number of digits.</param>
    public static string Tick(double value, double step)
    {
        if (value == 0) return "0";
        int Decimals(double unit) => Math.Max(0, (int)Math.Ceiling(-Math.Log10(step / unit) - 1e-9));
        (double unit, string suffix) =
            Math.Abs(value) switch { >= 1e9 => (1e9, "G"), >= 1e6 => (1e6, "M"), >= 1e4 => (1e3, "k"), _ => (1, "") };
        // a suffix for thousands does not help if the later digits matter
        if (Decimals(unit) > MostShortDecimals) (unit, suffix) = (1, "");
        if (Decimals(unit) <= MostDecimals) return (value / unit).ToString($"F{Decimals(unit)}") + suffix;
        int digits = Math.Clamp((int)(Math.Floor(Math.Log10(Math.Abs(value))) - Math.Floor(Math.Log10(step))), 0, 15);
        return value.ToString($"0.{new string('#', digits)}e0");
    }
}

/// <summary>Tables on narrow screens.</summary>
internal static class PageTable
{
    /// <summary>A table that scrolls on its own if it is wider than the screen, also by keyboard.</summary>
    public static HtmlElement Scrolling(string label, HtmlElement table) =>
        E("div", Class("scroll"), A("tabindex", "0"), A("role", "region"), A("aria-label", label), table);
}
