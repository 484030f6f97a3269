using System.Text.RegularExpressions;
using LowRank.IO;
using LowRank.Pages.Reports;

namespace LowRank.Pages;

/// <summary>A page of the docs whose tables, numbers and figures come from the results and whose lists of keys come
/// from the code.</summary>
/// <remarks>A table stands between <c>&lt;!-- table: NAME --&gt;</c> and <c>&lt;!-- /table --&gt;</c>, a number between
/// <c>&lt;!-- value: NAME --&gt;</c> and <c>&lt;!-- /value --&gt;</c>, the facts about a method from the code between
/// <c>&lt;!-- method: NAME --&gt;</c> and <c>&lt;!-- /method --&gt;</c>.</remarks>
/// <param name="name">The name of the page's file in <c>docs</c> and of its folder in <c>docs/figures</c>, without
/// extension.</param>
/// <param name="reports">The tables and figures, in the page's order.</param>
public sealed partial class Page(string name, IReadOnlyList<IReport> reports)
{
    /// <summary>What LoRA is, demonstrated by runs.</summary>
    public static Page Lora { get; } = new("lora",
    [
        new RankReport(), new MethodsReport(), new RateReport(), new LatencyReport(), new PlacesReport(),
            new ForgettingReport(), new SeedsReport(),
        new AlphaReport(), new DropoutReport(), new StartsReport(),
    ]);

    /// <summary>All methods on one task.</summary>
    public static Page Methods { get; } = new("methods", [new ExperimentsReport()]);

    /// <summary>All pages.</summary>
    public static IReadOnlyList<Page> All { get; } = [Lora, Methods];

    /// <summary>The page's path in the repository.</summary>
    public string Path { get; } = $"docs/{name}.md";

    /// <summary>The folder of its figures in the repository.</summary>
    public string FigureFolder { get; } = $"docs/figures/{name}/";

    /// <summary>The names of its tables.</summary>
    public IEnumerable<string> Tables => reports.Select(report => report.Name);

    /// <summary>The page with its tables and numbers filled in.</summary>
    /// <param name="text">The current page.</param>
    /// <param name="results">All results.</param>
    /// <exception cref="InputException">The page marks an unknown table, number or method, or results are
    /// missing.</exception>
    public string Fill(string text, Results results)
    {
        IReadOnlyDictionary<string, string> values = PageValues.Of(results);
        text = TableMark()
            .Replace(text,
            mark => $"{mark.Groups["open"].Value}\n{Find(mark.Groups["name"].Value).Table(results)}<!-- /table -->");
        text = MethodMark()
            .Replace(text,
            mark => $"{mark.Groups["open"].Value}\n{MethodFacts.Of(mark.Groups["name"].Value)}<!-- /method -->");
        return ValueMark().Replace(text, mark => values.TryGetValue(mark.Groups["name"].Value, out string? value)
            ? $"{mark.Groups["open"].Value}{value}<!-- /value -->"
            : throw new InputException(
                $"The page marks the value \"{mark.Groups["name"].Value}\", which does not exist; expected one of " +
                $"{string.Join(", ", values.Keys)}."));
    }

    /// <summary>The figures by file name.</summary>
    public IReadOnlyDictionary<string, string> Figures(Results results) => reports
        .Select(report => (report.Name, Svg: report.Figure(results))).Where(figure => figure.Svg is not null)
        .ToDictionary(figure => figure.Name + ".svg", figure => figure.Svg!);

    /// <summary>Writes the figures and the page.</summary>
    /// <param name="repository">The repository's folder.</param>
    /// <param name="results">All results.</param>
    public void Write(string repository, Results results)
    {
        string figures = System.IO.Path.Combine(repository, FigureFolder);
        Directory.CreateDirectory(figures);
        foreach ((string file, string svg) in Figures(results))
            AtomicFile.Write(System.IO.Path.Combine(figures, file), svg);
        string page = System.IO.Path.Combine(repository, Path);
        AtomicFile.Write(page, Fill(File.ReadAllText(page), results));
    }

    private IReport Find(string table) => reports.FirstOrDefault(report => report.Name == table)
        ?? throw new InputException(
            $"The page marks the table \"{table}\", which does not exist; expected one of " +
            $"{string.Join(", ", Tables)}.");

    [GeneratedRegex(
        "(?<open><!-- table: (?<name>[a-z]+) -->).*?<!-- /table -->",
        RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex TableMark();

    [GeneratedRegex(
        "(?<open><!-- method: (?<name>[^ ]+) -->).*?<!-- /method -->",
        RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex MethodMark();

    [GeneratedRegex(
        "(?<open><!-- value: (?<name>[^ ]+) -->).*?<!-- /value -->",
        RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex ValueMark();
}
