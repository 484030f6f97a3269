using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using CsCheck;
using LowRank.Cli.Report;
using LowRank.Recipes.Runs;

namespace LowRank.Tests.Cli.Report;

public sealed partial class ReportPageTests : IDisposable
{
    private readonly string root = Directory.CreateTempSubdirectory("lowrank-report-").FullName;

    public void Dispose() => Directory.Delete(root, recursive: true);

    [Theory]
    [InlineData("a < b & \"c\" > 'd'", "a &lt; b &amp; &quot;c&quot; &gt; &#39;d&#39;")]
    [InlineData("</script><script>alert(1)</script>", "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;")]
    [InlineData("nul \0, escape \u001b, line\nend\tü 😀", "nul \uFFFD, escape \uFFFD, line\nend\tü 😀")]
    public void Texts_are_escaped(string text, string written) => Assert.Equal(written, HtmlElement.Escape(text));

    [Fact]
    public void Half_a_pair_of_surrogates_is_replaced() =>
        Assert.Equal("half \uFFFD a pair", HtmlElement.Escape("half \ud83d a pair"));

    [Fact]
    public void Elements_keep_texts_and_attributes_as_they_are_read() => Gen.String.Sample(text =>
    {
        string html = HtmlElement.E("b", HtmlElement.A("title", text), text).ToString();
        Match parts = Element().Match(html);
        Assert.True(parts.Success, html);
        Assert.Equal(parts.Groups[1].Value, parts.Groups[2].Value);
        string readable =
            string.Concat(
                text.EnumerateRunes()
                .Select(rune => (Rune.IsControl(rune) && rune.Value is not ('\n' or '\t' or '\r'))
                || (rune.Value & 0xFFFE) == 0xFFFE ? "\uFFFD" : rune.ToString()));
        Assert.Equal(readable, System.Net.WebUtility.HtmlDecode(parts.Groups[1].Value));
    }, iter: 1000);

    [Theory]
    [InlineData(0, "0")]
    [InlineData(0.11434, "0.1143")]
    [InlineData(9999.6, "10,000")]
    [InlineData(123456.7, "123,457")]
    [InlineData(-2.5e-5, "-2.5e-5")]
    [InlineData(0.00099996, "0.001")]
    public void Numbers_have_four_digits(double value, string written) => Assert.Equal(written, Figures.Number(value));

    [Theory]
    [InlineData(0.05, 0.05, "0.05")]
    [InlineData(1, 0.5, "1.0")]
    [InlineData(20000, 10000, "20k")]
    [InlineData(1500000, 500000, "1.5M")]
    [InlineData(2e-6, 1e-6, "2e-6")]
    [InlineData(2.4e-6, 2e-7, "2.4e-6")]
    [InlineData(1000113.5, 0.5, "1000113.5")]
    public void Ticks_have_as_many_digits_as_tell_them_apart(double value, double step, string written) =>
        Assert.Equal(written, Figures.Tick(value, step));

    [Fact]
    public void Scales_hold_every_value_with_few_round_ticks() =>
        Gen.Select(Gen.Double[-1e9, 1e9], Gen.Double[-14, 12], Gen.Bool).Sample((lowest, power, isFromZero) =>
    {
        double low = isFromZero ? 0 : lowest, high = low + Math.Pow(10, power);
        foreach (ChartScale scale in (ChartScale[])[new(low, high, 300, 0, 6), ChartScale.Roomy(low, high, 300, 0, 6)])
        {
            Assert.InRange(scale.Place(low), 0, 300.1);
            Assert.InRange(scale.Place(high), -0.1, 300);
            Assert.InRange(scale.Ticks.Count, 2, 9);
            Assert.Equal(scale.Ticks.Count, scale.Ticks.Select(tick => Figures.Tick(tick, scale.Step))
                .Distinct().Count());
        }
    }, iter: 1000);

    [Theory]
    [InlineData(0, 0)]
    [InlineData(0, 5e-324)]
    [InlineData(1e9, 1000000000.0000001)] // a tick a last digit would never reach the end
    [InlineData(-1e300, 1e300)]
    [InlineData(7, 7)]
    public void Scales_of_awkward_values_end(double lowest, double highest)
    {
        var scale = new ChartScale(lowest, highest, 300, 0, 6);
        Assert.InRange(scale.Place(lowest), 0, 300);
        Assert.InRange(scale.Ticks.Count, 2, 9);
    }

    [Fact]
    public void The_same_runs_give_the_same_bytes()
    {
        string[] folders = [Run("a", 200), Run("b", 300)];
        Assert.Equal(ReportPage.Of(RunRecord.Open(folders)), ReportPage.Of(RunRecord.Open(folders)));
    }

    [Fact]
    public void Nothing_of_a_run_becomes_markup_and_nothing_is_asked_for()
    {
        const string Hostile = "</script></style><script>x</script><img src=https://example.org>'\"";
        string folder = Run("a", 20);
        File.WriteAllText(Path.Combine(folder, "recipe.yaml"), $"model: {JsonSerializer.Serialize(Hostile)}\n");
        File.AppendAllText(
            Path.Combine(folder, "metrics.jsonl"), JsonSerializer.Serialize(new Dictionary<string, object>
        {
            ["step"] = 21, [Hostile] = 1, ["eval_" + Hostile] = 2,
                ["generations"] = new[] { new { prompt = Hostile, text = Hostile } },
        }) + "\n");
        string page = ReportPage.Of([RunRecord.Open([folder])[0] with { Name = Hostile, Folder = Hostile }]);
        Assert.DoesNotContain("<img", page);
        Assert.Equal(2, Script().Count(page));
        // Outside of escaped texts no address is named; the name of SVG is in the script, and is asked of nobody.
        Assert.All(Attribute().Matches(page).Select(match => match.Groups[1].Value),
            value => Assert.StartsWith("#", value));
        Assert.DoesNotContain("@import", page);
        Assert.DoesNotContain("url(", page);
    }

    [Fact]
    public void The_policy_allows_the_pages_own_style_and_script_alone()
    {
        string page = ReportPage.Of(RunRecord.Open([Run("a", 5)]));
        string style = Between(page, "<style>", "</style>"), script = Between(page, "</script>\n<script>", "</script>");
        string Hash(string text) => "sha256-" + Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
        Assert.Contains(
            HtmlElement.Escape(
                $"default-src 'none'; script-src '{Hash(script)}'; style-src '{Hash(style)}'; base-uri 'none'; " +
                "form-action 'none'"), page);
        Assert.DoesNotContain(" style=\"", page);
    }

    [Fact]
    public void Long_runs_make_a_small_page_that_shows_their_extremes()
    {
        string[] folders = [.. Enumerable.Range(0, 4).Select(run => Run($"run{run}", 60_000, peak: 31_234))];
        IReadOnlyList<RunRecord> runs = RunRecord.Open(folders);
        string page = ReportPage.Of(runs);
        Assert.InRange(Encoding.UTF8.GetByteCount(page), 100_000, 2_000_000);
        using JsonDocument data = JsonDocument.Parse(Between(page, "id=\"chart-data\">", "</script>"));
        JsonElement loss = data.RootElement.GetProperty("charts")[0].GetProperty("lines")[0];
        double[] points = [.. loss.GetProperty("points").EnumerateArray().Select(number => number.GetDouble())];
        Assert.Equal(99, points[Array.IndexOf(points, 31_234.0) + 1]); // one step of 60,000
        Assert.True(loss.GetProperty("means").GetArrayLength() > 500);
        Assert.Contains("highest 99 at step 31,234", page);
    }

    [Fact]
    public void Many_runs_make_a_small_page_too()
    {
        string page = ReportPage.Of(
            RunRecord.Open([.. Enumerable.Range(0, RunLook.Most).Select(run => Run($"run{run}", 3000))]));
        Assert.InRange(Encoding.UTF8.GetByteCount(page), 100_000, 2_000_000);
        Assert.Equal(RunLook.Most, Enumerable.Range(0, RunLook.Most).Select(RunLook.Class).Distinct().Count());
    }

    [Fact]
    public void A_run_that_holds_nothing_yet_says_so()
    {
        string page = ReportPage.Of(RunRecord.Open([Run("a", 0)]));
        Assert.Contains("There are no measurements yet.", page);
        Assert.Contains("The recipe is not known: recipe.yaml is missing.", page);
    }

    private string Run(string name, int steps, int peak = -1)
    {
        string folder = Directory.CreateDirectory(Path.Combine(root, name)).FullName;
        using var lines = new StreamWriter(Path.Combine(folder, "metrics.jsonl"));
        for (int step = 1; step <= steps; step++)
        {
            string loss = (step == peak ? 99 : 1 + Math.Sin(step)).ToString("R", CultureInfo.InvariantCulture);
            lines.Write(
                $"{{\"step\":{step},\"loss\":{loss},\"grad_norm\":{loss}" +
                $",\"learning_rate\":1e-4,\"tokens\":9,\"tokens_per_second\":{loss},\"memory_bytes\":{step}}}\n");
        }
        return folder;
    }

    private static string Between(string page, string start, string end)
    {
        int from = page.IndexOf(start, StringComparison.Ordinal) + start.Length;
        return page[from..page.IndexOf(end, from, StringComparison.Ordinal)];
    }

    [GeneratedRegex("""\A<b title="([^"<>]*)">([^"<>]*)</b>\z""")]
    private static partial Regex Element();

    [GeneratedRegex("<script")]
    private static partial Regex Script();

    [GeneratedRegex("""<[^>]*\s(?:href|src|action|poster|data)="([^"]*)""")]
    private static partial Regex Attribute();
}
