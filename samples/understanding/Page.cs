using System.Text.RegularExpressions;
using LowRank.Samples.Understanding.Reports;
using LowRank.Tensors;

namespace LowRank.Samples.Understanding;

/// <summary>The page <c>docs/lora.md</c>: its tables, the numbers in its text and its figures all come from the results.</summary>
/// <remarks>A table stands between <c>&lt;!-- table: NAME --&gt;</c> and <c>&lt;!-- /table --&gt;</c>, a number between
/// <c>&lt;!-- value: NAME --&gt;</c> and <c>&lt;!-- /value --&gt;</c>.</remarks>
public static partial class Page
{
    /// <summary>The reports, in the page's order.</summary>
    public static IReadOnlyList<IReport> Reports { get; } =
        [new RankReport(), new MethodsReport(), new RateReport(), new LatencyReport(), new PlacesReport(), new ForgettingReport(), new SeedsReport()];

    /// <summary>The page with its tables and numbers filled in.</summary>
    /// <param name="text">The page as it is.</param>
    /// <param name="results">All results.</param>
    /// <exception cref="InputException">It marks a table or number that is not there, or results are missing.</exception>
    public static string Fill(string text, Results results)
    {
        IReadOnlyDictionary<string, string> values = PageValues.Of(results);
        text = TableMark().Replace(text, mark => $"{mark.Groups["open"].Value}\n{Find(mark.Groups["name"].Value).Table(results)}<!-- /table -->");
        return ValueMark().Replace(text, mark => values.TryGetValue(mark.Groups["name"].Value, out string? value)
            ? $"{mark.Groups["open"].Value}{value}<!-- /value -->"
            : throw new InputException($"The page marks the value \"{mark.Groups["name"].Value}\", which is not there; expected one of {string.Join(", ", values.Keys)}."));
    }

    /// <summary>The figures by file name.</summary>
    public static IReadOnlyDictionary<string, string> Figures(Results results) => Reports
        .Select(report => (report.Name, Svg: report.Figure(results))).Where(figure => figure.Svg is not null).ToDictionary(figure => figure.Name + ".svg", figure => figure.Svg!);

    /// <summary>Writes the figures and the page.</summary>
    /// <param name="repository">The repository's folder.</param>
    /// <param name="results">All results.</param>
    public static void Write(string repository, Results results)
    {
        foreach ((string name, string svg) in Figures(results)) AtomicFile.Write(Path.Combine(repository, "docs", "figures", "lora", name), svg);
        string page = Path.Combine(repository, "docs", "lora.md");
        AtomicFile.Write(page, Fill(File.ReadAllText(page), results));
    }

    private static IReport Find(string name) => Reports.FirstOrDefault(report => report.Name == name)
        ?? throw new InputException($"The page marks the table \"{name}\", which is not there; expected one of {string.Join(", ", Reports.Select(report => report.Name))}.");

    [GeneratedRegex("(?<open><!-- table: (?<name>[a-z]+) -->).*?<!-- /table -->", RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex TableMark();

    [GeneratedRegex("(?<open><!-- value: (?<name>[^ ]+) -->).*?<!-- /value -->", RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex ValueMark();
}
