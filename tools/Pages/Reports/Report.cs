namespace LowRank.Pages.Reports;

/// <summary>The part of a page for one experiment.</summary>
public interface IReport
{
    /// <summary>The name of the table's marker and of the figure.</summary>
    string Name { get; }

    /// <summary>The table, in Markdown.</summary>
    string Table(Results results);

    /// <summary>The figure as SVG; null for an experiment without one.</summary>
    string? Figure(Results results);
}

/// <summary>Formats numbers for the page.</summary>
internal static class Show
{
    public static string Loss(double? loss) => loss?.ToString("0.000") ?? "diverged";

    public static string Percent(double share) => share.ToString("0.0 %");

    public static string Weights(long weights) => weights.ToString("N0");

    public static string Bytes(long bytes) => bytes >= 1_000_000 ? $"{bytes / 1e6:0.00} MB" : $"{bytes / 1e3:0} kB";

    public static string Rate(double rate) => rate.ToString("0.#e-0");

    public static string Change(double? from, double? to) => to is null || from is null ? "diverged"
        : (to.Value - from.Value).ToString("+0.000;−0.000");

    /// <summary>The mean of several values with their range, such as "0.225 (0.208–0.247)".</summary>
    public static string Spread(IReadOnlyCollection<double> values, string format) =>
        $"{values.Average().ToString(format)} ({values.Min().ToString(format)}–{values.Max().ToString(format)})";

    /// <summary>A Markdown table.</summary>
    /// <param name="head">The columns.</param>
    /// <param name="rows">The cells.</param>
    /// <param name="isText">Whether all columns are text; else the first is text and the others are numbers.</param>
    public static string Table(
        IReadOnlyList<string> head, IEnumerable<IReadOnlyList<string>> rows, bool isText = false) =>
        Line(head) + Line([.. head.Select((_, i) => i == 0 || isText ? "---" : "---:")])
            + string.Concat(rows.Select(Line));

    /// <summary>The run of the lowest held-out loss.</summary>
    public static RunResult Best(Results results, IEnumerable<RunSpec> specs) =>
        specs.Select(spec => results.Run(spec.Name)).Where(run => run.HeldOutLoss is not null)
            .MinBy(run => run.HeldOutLoss)!;

    private static string Line(IReadOnlyList<string> cells) => $"| {string.Join(" | ", cells)} |\n";
}
