using LowRank.Recipes.Runs;
using static LowRank.Cli.Report.HtmlElement;

namespace LowRank.Cli.Report;

/// <summary>What the runs learned from.</summary>
internal static class RunData
{
    /// <summary>The section's content.</summary>
    public static IEnumerable<HtmlElement> Show(IReadOnlyList<RunRecord> runs)
    {
        var rows = runs.SelectMany(run => new[] { (Run: run, Part: "training", Facts: run.Facts.Training), (Run: run, Part: "held out", Facts: run.Facts.Validation) })
            .Where(row => row.Facts is not null).ToList();
        bool several = runs.Count > 1;
        if (rows.Count > 0)
            yield return PageTable.Scrolling("Rows of data", E("table",
                E("thead", E("tr", several ? E("th", A("scope", "col"), "Run") : null,
                    new[] { "Rows", "Number", "Tokens", "Labels learned", "Longest row (tokens)" }.Select(head => E("th", A("scope", "col"), head)))),
                E("tbody", rows.Select(row => E("tr", several ? E("th", A("scope", "row"), row.Run.Name) : null, E(several ? "td" : "th", several ? null : A("scope", "row"), row.Part),
                    new[] { row.Facts!.Rows, row.Facts.Tokens, row.Facts.Labels, row.Facts.Longest }.Select(number => E("td", Class("number"), Figures.Whole(number))))))));
        if (rows.Count < runs.Count)
        {
            string[] unknown = [.. runs.Where(run => run.Facts.Training is null).Select(run => run.Name)];
            if (unknown.Length > 0) yield return E("p", $"How many rows there were is not known of {string.Join(", ", unknown)}: run.json does not say.");
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
