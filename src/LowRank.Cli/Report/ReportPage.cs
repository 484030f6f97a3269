using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using LowRank.Recipes.Runs;
using static LowRank.Cli.Report.HtmlElement;

namespace LowRank.Cli.Report;

/// <summary>The page of <c>lowrank report</c>: one file that loads nothing from anywhere. The same runs give the same
/// bytes.</summary>
internal static class ReportPage
{
    // Keeps all curves together near a megabyte, regardless of the number of runs.
    private const int AllBuckets = 3 * MetricSeries.MostBuckets, FewestBuckets = 64;

    private const int MostVisibleLines = 6; // in a summary in words; more are folded

    /// <summary>The page.</summary>
    /// <param name="runs">At most <see cref="RunLook.Most"/>.</param>
    public static string Of(IReadOnlyList<RunRecord> runs)
    {
        IReadOnlyList<Chart> charts = ChartList.Of(runs);
        long lastStep = runs.Max(run => run.Metrics.LastStep ?? 0);
        int buckets = Math.Clamp(AllBuckets / runs.Count, FewestBuckets, MetricSeries.MostBuckets);
        string title = runs.Count == 1 ? $"Run {runs[0].Name}"
            : $"{runs.Count} runs: {string.Join(", ", runs.Select(run => run.Name))}";
        List<(string Id, string Title, List<HtmlElement> Content)> sections =
        [
            ("overview", "Overview", [RunOverview.Show(runs)]),
            ("curves", "Curves", [.. Curves(runs, charts, lastStep, buckets)]),
            ("texts", "Generated texts", [.. RunTexts.Show(runs)]),
            ("data", "Data", [.. RunData.Show(runs)]),
            ("recipe", runs.Count == 1 ? "Recipe in effect" : "Recipes in effect", [.. RunRecipe.Show(runs)]),
        ];
        sections.RemoveAll(section => section.Content.Count == 0);
        HtmlElement body = E("body",
            E("a", Class("skip"), A("href", "#main"), "Skip to the content"),
            E("header", E(
                "div", Class("bar"), E("p", Class("product"), "LowRank report"), E("div", A("id", "page-tools"))),
                E("h1", title), Subtitle(runs)),
            E("nav", A("aria-label", "Sections"),
                E("ul", sections.Select(section => E("li", E("a", A("href", "#" + section.Id), section.Title))))),
            E("main", A("id", "main"), Problems(runs), sections.Select(section =>
                E("section", A("id", section.Id), A("aria-labelledby", section.Id + "-heading"),
                    E("h2", A("id", section.Id + "-heading"), section.Title), section.Content))),
            E("footer", E("p", $"Made by lowrank report {Version}. This file is self-contained.")),
            E("script", A("type", "application/json"), A("id", "chart-data"),
            new HtmlRaw(ChartData.Json(charts, runs.Count, lastStep, buckets))),
            E("script", new HtmlRaw(Script)));
        return "<!DOCTYPE html>\n" + E("html", A("lang", "en"), Head(title), body);
    }

    private static string Version => typeof(ReportPage).Assembly.GetName().Version!.ToString(3);

    private static string Style { get; } = Resource("report.css");

    private static string Script { get; } = Resource("report.js");

    private static HtmlElement Head(string title) => E("head",
        E("meta", A("charset", "utf-8")),
        // Anything injected into the page could neither run nor reach the network.
        E("meta", A("http-equiv", "Content-Security-Policy"),
            A("content",
            $"default-src 'none'; script-src '{Hash(Script)}'; style-src '{Hash(Style)}'; base-uri 'none'; " +
            "form-action 'none'")),
        E("meta", A("name", "viewport"), A("content", "width=device-width, initial-scale=1")),
        E("meta", A("name", "color-scheme"), A("content", "light dark")),
        E("title", $"{title} – LowRank report"),
        E("style", new HtmlRaw(Style)));

    private static HtmlElement? Subtitle(IReadOnlyList<RunRecord> runs)
    {
        if (runs.Count > 1) return null;
        string? Setting(string key) => runs[0].Settings.FirstOrDefault(setting => setting.Key == key).Value;
        string rank = Setting("adapter.rank") is { } number and not "null" ? $", rank {number}" : "";
        return Setting("model") is not { } model ? null
            : E("p", Class("subtitle"), Setting("adapter.method") ?? "", rank, " on ", E("code", model));
    }

    private static HtmlElement? Problems(IReadOnlyList<RunRecord> runs)
    {
        List<HtmlElement> said =
        [
            .. runs.Where(run => run.Writer is not null)
                .Select(run =>
                E("li", $"{Name(run)}The run is in progress ({run.Writer}); this page shows its state so far.")),
            .. runs.SelectMany(run => run.Problems.Select(problem => E("li", Name(run) + problem))),
        ];
        return said.Count == 0 ? null
            : E("section", Class("problems"), A("aria-labelledby", "problems-heading"),
            E("h2", A("id", "problems-heading"), "Please note"), E("ul", said));
        string Name(RunRecord run) => runs.Count == 1 ? "" : $"{run.Name}: ";
    }

    private static IEnumerable<HtmlElement> Curves(
        IReadOnlyList<RunRecord> runs, IReadOnlyList<Chart> charts, long lastStep, int buckets)
    {
        if (charts.Count == 0)
        {
            yield return E("p", "There are no measurements yet.");
            yield break;
        }
        yield return E("div", A("id", "curve-tools"), Class("tools"));
        if (runs.Count > 1)
            yield return E("ul", A("id", "legend"), Class("legend"), A("aria-label", "Runs in the charts"),
                runs.Select((run, place) => E("li", RunLook.Sample(place), E("span", run.Name))));
        yield return E(
            "p", Class("hint"),
            "Thin lines: measured at each step. Bold lines with dots: measured at evaluations, on held-out rows.");
        yield return E("div", Class("charts"), charts.Select(chart => Figure(chart, lastStep, buckets)));
    }

    private static HtmlElement Figure(Chart chart, long lastStep, int buckets)
    {
        HtmlElement summary = ChartWords.Summary(chart);
        return E("div", Class("chart"), A("id", chart.Id),
            E("h3", A("id", chart.TitleId), chart.Title),
            E("figure", A("aria-labelledby", chart.TitleId),
                E("div", Class("plot"), new ChartDrawing(chart, lastStep, buckets).Draw()),
                E("figcaption", chart.Lines.Count <= MostVisibleLines ? summary
                : E("details", E("summary", $"{chart.Title} in words"), summary))),
            ChartWords.Table(chart));
    }

    private static string Hash(string text) =>
        "sha256-" + Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private static string Resource(string name)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream($"LowRank.Cli.Report.{name}")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }
}
