using LowRank.Recipes.Runs;
using static LowRank.Cli.Report.HtmlElement;

namespace LowRank.Cli.Report;

/// <summary>The texts that the model generated before training, at evaluations and after training, with one part per
/// prompt.</summary>
internal static class RunTexts
{
    private const int MostPrompts = 20, MostEvaluations = 10, LongestText = 4000;

    /// <summary>The section's content; empty if no run has texts.</summary>
    public static IEnumerable<HtmlElement> Show(IReadOnlyList<RunRecord> runs)
    {
        List<string> prompts = [.. runs.SelectMany(Prompts).Distinct()];
        if (prompts.Count > MostPrompts)
            yield return E("p", $"The first {MostPrompts} of {Figures.Whole(prompts.Count)} prompts are shown.");
        int number = 0;
        foreach (string prompt in prompts.Take(MostPrompts))
        {
            string? reference = runs.Select(run => Reference(run, prompt)).FirstOrDefault(text => text is not null);
            yield return E(
                "div", Class("prompt"), E("h3", prompt.Length > 0 ? $"Prompt {++number}" : "Texts without a prompt"),
                E("dl", Class("texts"),
                    prompt.Length > 0 ? Entry("Prompt", prompt) : null,
                    reference is { Length: > 0 } ? Entry("Reference text from the data", reference) : null,
                    runs.SelectMany(
                        (run, place) =>
                        Written(run, prompt)
                        .Select(text =>
                        Entry(text.Label, text.Text, runs.Count > 1
                        ? [RunLook.Sample(place), $" {run.Name}: "] : [])))));
        }
    }

    private static IEnumerable<string> Prompts(RunRecord run) =>
        [.. run.Comparison?.Prompts ?? [], .. run.Metrics.Texts.Select(text => text.Prompt)];

    private static string? Reference(RunRecord run, string prompt) =>
        run.Comparison is { References: { } references } comparison && PlaceOf(comparison.Prompts, prompt) is { } place
            && place < references.Count ? references[place] : null;

    private static int? PlaceOf(IReadOnlyList<string> prompts, string prompt)
    {
        for (int i = 0; i < prompts.Count; i++)
            if (prompts[i] == prompt) return i;
        return null;
    }

    private static IEnumerable<(string Label, string Text)> Written(RunRecord run, string prompt)
    {
        int? compared = run.Comparison is { } comparison ? PlaceOf(comparison.Prompts, prompt) : null;
        if (compared is { } before) yield return ("Before training", run.Comparison!.Before.Texts[before]);
        // The comparison also measures before the first step and after the last one; equal texts are shown once.
        bool Shown(RunText text) =>
            compared is { } place && ((text.Step == 0 && text.Text.Trim() == run.Comparison!.Before.Texts[place].Trim())
            || (text.Step == run.Metrics.LastStep && text.Text.Trim() == run.Comparison!.After.Texts[place].Trim()));
        List<RunText> texts = [.. run.Metrics.Texts.Where(text => text.Prompt == prompt && !Shown(text))];
        foreach (RunText text in Spread(texts))
            yield return (
                text.Step == 0 ? "Before the first step" : $"After step {Figures.Whole(text.Step)}", text.Text);
        if (texts.Count > MostEvaluations)
            yield return (
                "Not shown",
                $"the texts of {Figures.Whole(texts.Count - MostEvaluations)} more evaluations; the run's " +
                "metrics.jsonl has all of them");
        if (compared is { } after) yield return ("After training", run.Comparison!.After.Texts[after]);
    }

    private static IEnumerable<RunText> Spread(List<RunText> texts) => texts.Count <= MostEvaluations ? texts
        : Enumerable.Range(0, MostEvaluations)
        .Select(place => texts[(int)((long)place * (texts.Count - 1) / (MostEvaluations - 1))]);

    private static HtmlElement Entry(string label, string text, params IEnumerable<object> before)
    {
        string shown = text.Trim();
        bool cut = shown.Length > LongestText;
        return E("div", E("dt", before, label),
            E("dd", A("dir", "auto"), shown.Length == 0 ? E("em", "nothing") : cut ? shown[..LongestText] : shown,
            cut ? E("em", $" … cut after {LongestText:n0} of {shown.Length:n0} characters") : null));
    }
}

/// <summary>The recipes in effect; for several runs the keys that differ come first.</summary>
internal static class RunRecipe
{
    /// <summary>The section's content.</summary>
    public static IEnumerable<HtmlElement> Show(IReadOnlyList<RunRecord> runs)
    {
        var keys = RunComparison.Settings(runs);
        if (keys.Count == 0)
        {
            yield return E("p", "The recipe is unknown.");
            yield break;
        }
        if (runs.Count == 1)
        {
            yield return PageTable.Scrolling(
                "The recipe's keys",
                E("table", Head(["Value"]), E("tbody", keys.Select(key => Row(key.Key, key.Values, differs: false)))));
            yield break;
        }
        var differing = keys.Where(key => key.Differs).ToList();
        if (differing.Count == 0) yield return E("p", "No key differs between the runs.");
        else
            yield return PageTable.Scrolling(
                "Keys that differ between the runs",
                E("table", E("caption", "Keys that differ"), Head([.. runs.Select(run => run.Name)]),
                E("tbody", differing.Select(key => Row(key.Key, key.Values, differs: true)))));
        var equal = keys.Where(key => !key.Differs).ToList();
        if (equal.Count == 0) yield break;
        yield return E("details", E("summary", $"{equal.Count} keys that are equal in all runs"),
            PageTable.Scrolling(
                "Keys that are equal in all runs",
                E("table", Head(["Value"]),
                E("tbody", equal.Select(
                    key => Row(key.Key, [key.Values.First(value => value is not null)], differs: false))))));
    }

    private static HtmlElement Head(IEnumerable<string> names) =>
        E("thead", E("tr", E("th", A("scope", "col"), "Key"), names.Select(name => E("th", A("scope", "col"), name))));

    private static HtmlElement Row(string key, IReadOnlyList<string?> values, bool differs)
    {
        string? most = Commonest(values);
        return E("tr", E("th", A("scope", "row"), E("code", key)),
            values.Select(
                value => E("td", differs && value != most ? Class("differs") : null, value is null ? "–"
                : E("code", value))));
    }

    // The value that most runs share; other values are highlighted, or all of them if there is no such value.
    private static string? Commonest(IReadOnlyList<string?> values)
    {
        var counts = values.OfType<string>().CountBy(value => value).OrderByDescending(count => count.Value)
            .Take(2).ToList();
        return counts.Count == 0 || (counts.Count == 2 && counts[0].Value == counts[1].Value) ? null : counts[0].Key;
    }
}
