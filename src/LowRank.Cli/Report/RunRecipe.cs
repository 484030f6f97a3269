using LowRank.Recipes.Runs;
using static LowRank.Cli.Report.HtmlElement;

namespace LowRank.Cli.Report;

/// <summary>The recipes in effect: of several runs the keys that differ first.</summary>
internal static class RunRecipe
{
    /// <summary>The section's content.</summary>
    public static IEnumerable<HtmlElement> Show(IReadOnlyList<RunRecord> runs)
    {
        var keys = RunComparison.Settings(runs);
        if (keys.Count == 0)
        {
            yield return E("p", "The recipe is not known.");
            yield break;
        }
        if (runs.Count == 1)
        {
            yield return PageTable.Scrolling("The recipe's keys", E("table", Head(["Value"]), E("tbody", keys.Select(key => Row(key.Key, key.Values, differs: false)))));
            yield break;
        }
        var differing = keys.Where(key => key.Differs).ToList();
        if (differing.Count == 0) yield return E("p", "No key differs between the runs.");
        else
            yield return PageTable.Scrolling("Keys that differ between the runs", E("table", E("caption", "Keys that differ"), Head([.. runs.Select(run => run.Name)]),
                E("tbody", differing.Select(key => Row(key.Key, key.Values, differs: true)))));
        var equal = keys.Where(key => !key.Differs).ToList();
        if (equal.Count == 0) yield break;
        yield return E("details", E("summary", $"{equal.Count} keys that are equal in all runs"),
            PageTable.Scrolling("Keys that are equal in all runs", E("table", Head(["Value"]), E("tbody", equal.Select(key => Row(key.Key, [key.Values.First(value => value is not null)], differs: false))))));
    }

    private static HtmlElement Head(IEnumerable<string> names) => E("thead", E("tr", E("th", A("scope", "col"), "Key"), names.Select(name => E("th", A("scope", "col"), name))));

    private static HtmlElement Row(string key, IReadOnlyList<string?> values, bool differs)
    {
        string? most = Commonest(values);
        return E("tr", E("th", A("scope", "row"), E("code", key)),
            values.Select(value => E("td", differs && value != most ? Class("differs") : null, value is null ? "–" : E("code", value))));
    }

    // What most runs have: the others are highlighted. Where there is no such value all are.
    private static string? Commonest(IReadOnlyList<string?> values)
    {
        var counts = values.OfType<string>().CountBy(value => value).OrderByDescending(count => count.Value).Take(2).ToList();
        return counts.Count == 0 || (counts.Count == 2 && counts[0].Value == counts[1].Value) ? null : counts[0].Key;
    }
}
