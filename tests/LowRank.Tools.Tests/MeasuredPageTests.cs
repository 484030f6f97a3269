using System.Text.RegularExpressions;
using System.Xml.Linq;
using LowRank.Adapters;
using LowRank.Pages;

namespace LowRank.Tools.Tests;

/// <summary>The pages whose tables, numbers and figures tools/Pages writes: docs/lora.md and
/// docs/methods.md.</summary>
public sealed partial class MeasuredPageTests
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    public static TheoryData<string> Paths => [.. Page.All.Select(page => page.Path)];

    private static Results Measured { get; } =
        Results.Load(Path.Combine(RepositoryFiles.Root, "docs/figures/lora/results.json"));

    private static Page Of(string path) => Page.All.Single(page => page.Path == path);

    [Theory, MemberData(nameof(Paths))]
    public void Tables_and_numbers_of_a_page_are_those_of_the_results(string path)
    {
        string text = RepositoryFiles.Read(path);
        Assert.Equal(Of(path).Fill(text, Measured), text);
        Assert.Equal(Of(path).Tables.Order(), TableMark().Matches(text).Select(mark => mark.Groups[1].Value).Order());
    }

    [Theory]
    [InlineData("docs/lora.md", "lora-r16")]
    [InlineData("docs/methods.md", "way-vera-seed1")]
    public void A_changed_number_shows_in_the_page(string path, string run)
    {
        string text = RepositoryFiles.Read(path);
        RunResult before = Measured.Run(run);
        Assert.NotEqual(
            text, Of(path).Fill(text, Measured.With(before with { HeldOutLoss = before.HeldOutLoss + 0.01 })));
    }

    [Theory, MemberData(nameof(Paths))]
    public void Every_mark_of_a_page_is_filled(string path)
    {
        string text = RepositoryFiles.Read(path);
        int marks = AnyMark().Count(text);
        Assert.True(marks > 20, $"only {marks} marks were seen: the scan is broken");
        Assert.Equal(marks, FilledMark().Count(text));
    }

    [Theory, MemberData(nameof(Paths))]
    public void Figures_are_drawn_from_the_results(string path)
    {
        foreach ((string name, string svg) in Of(path).Figures(Measured))
            Assert.Equal(svg, RepositoryFiles.Read(Of(path).FigureFolder + name));
    }

    [Theory, MemberData(nameof(Paths))]
    public void Linked_figures_exist_are_well_formed_and_say_what_they_show(string path)
    {
        MatchCollection links = Image().Matches(RepositoryFiles.Read(path));
        Assert.Equal(Of(path).Figures(Measured).Keys.Select(name => Of(path).FigureFolder + name).Order(),
            links.Select(link => "docs/" + link.Groups["path"].Value).Order());
        foreach (Match link in links)
        {
            Assert.NotEmpty(link.Groups["alt"].Value);
            XElement root = XDocument.Parse(RepositoryFiles.Read("docs/" + link.Groups["path"].Value)).Root!;
            Assert.Equal(Svg + "svg", root.Name);
            Assert.NotEmpty(root.Element(Svg + "title")!.Value);
            Assert.NotEmpty(root.Element(Svg + "desc")!.Value);
            Assert.DoesNotContain("NaN", root.ToString());
        }
    }

    [Fact]
    public void Every_method_has_its_section_and_no_other_has()
    {
        string text = RepositoryFiles.Read("docs/methods.md");
        Assert.Equal(AdapterMethods.Names, Section().Matches(text).Select(section => section.Groups["name"].Value)
            .Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_option_of_every_method_is_documented()
    {
        string text = RepositoryFiles.Read("docs/methods.md");
        foreach (IAdapterMethod method in AdapterMethods.All)
        {
            string section = text.Split($"<!-- method: {method.Name} -->")[1].Split("<!-- /method -->")[0];
            Assert.Contains(method.Paper, section, StringComparison.Ordinal);
            foreach (MethodOption option in method.Options)
                Assert.Contains($"| `{option.Name}` |", section, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_methods_compared_are_all_that_the_base_can_be_trained_by() =>
        Assert.Equal(AdapterMethods.Names.Except(["bitfit", "loftq"]).Append("full").Order(StringComparer.Ordinal),
            Experiments.All.Select(way => way.Method).Order(StringComparer.Ordinal));

    [Fact]
    public void Every_test_that_the_methods_page_names_is_there()
    {
        string[] named =
            [.. TestName().Matches(RepositoryFiles.Read("docs/methods.md")).Select(name => name.Groups[1].Value)];
        Assert.NotEmpty(named);
        foreach (string name in named)
        {
            string[] parts = name.Split('.');
            string file = Directory.EnumerateFiles(
                Path.Combine(RepositoryFiles.Root, "tests"), parts[0] + ".cs", SearchOption.AllDirectories).Single();
            Assert.Contains($" {parts[1]}(", File.ReadAllText(file), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Links_within_the_pages_lead_somewhere()
    {
        foreach (string path in Paths.Select(row => row.Data))
        {
            string text = RepositoryFiles.Read(path);
            string[] anchors =
                [.. Heading().Matches(text)
                .Select(heading => NoLetter().Replace(heading.Groups["text"].Value.Trim().ToLowerInvariant(), "")
                .Replace(' ', '-'))];
            foreach (Match link in Link().Matches(text))
            {
                if (link.Groups["file"].Value is { Length: > 0 } file)
                    Assert.True(Path.Exists(Path.Combine(RepositoryFiles.Root, "docs", file)), link.Value);
                else Assert.Contains(link.Groups["anchor"].Value, anchors);
            }
        }
    }

    [Fact]
    public void A_mark_without_a_number_is_refused_by_name()
    {
        InputException refused = Assert.Throws<InputException>(
            () => Page.Lora.Fill("<!-- value: lora-r3.loss -->0<!-- /value -->", Measured));
        Assert.Contains("lora-r3.loss", refused.Message);
        Assert.Contains("lora-r4.loss", refused.Message);
        Assert.Contains(
            "nothing", Assert.Throws<InputException>(
                () => Page.Lora.Fill("<!-- table: nothing -->\n<!-- /table -->", Measured)).Message);
        Assert.Contains(
            "lora_plus", Assert.Throws<InputException>(
                () => Page.Methods.Fill("<!-- method: lorra -->\n<!-- /method -->", Measured)).Message);
    }

    [Fact]
    public void Titles_with_marks_of_XML_stay_text()
    {
        string svg = SvgChart.Bars("a < b & \"c\"", "d > e", "ratio", [new ChartBar("<f>", 1, "1")]);
        Assert.Equal("a < b & \"c\"", XDocument.Parse(svg).Root!.Element(Svg + "title")!.Value);
    }

    [Fact]
    public void Labels_of_points_that_are_close_stand_apart()
    {
        ChartPoint[] points = [new(1, 1, "first"), new(1.01, 1.01, "second"), new(1.02, 1, "third")];
        var axis = new ChartAxis("value", [0, 2]);
        (double X, double Y)[] places =
            [.. XDocument.Parse(SvgChart.Lines("t", "d", axis, axis, [new ChartSeries("s", points)]))
            .Descendants(Svg + "text")
            .Where(text => points.Any(point => point.Label == text.Value))
            .Select(text => ((double)text.Attribute("x")!, (double)text.Attribute("y")!))];
        Assert.Equal(3, places.Length);
        Assert.Equal(3, places.Select(place => (Math.Round(place.X / 20), Math.Round(place.Y / 8))).Distinct().Count());
    }

    [Theory]
    [InlineData(0.17, 5.6, true, 0.1, 10)]
    [InlineData(0, 0.85, false, 0, 1)]
    [InlineData(2.3, 9.1, false, 2, 10)]
    public void Axes_hold_all_values(double low, double high, bool logarithmic, double first, double last)
    {
        ChartAxis axis = ChartAxis.Around("loss", [high, low], logarithmic);
        Assert.Equal(first, axis.Ticks[0], 1e-9);
        Assert.Equal(last, axis.Ticks[^1], 1e-9);
        Assert.InRange(axis.Share(low), 0, 1);
        Assert.InRange(axis.Share(high), 0, 1);
    }

    [GeneratedRegex("<!-- table: ([a-z]+) -->")]
    private static partial Regex TableMark();

    [GeneratedRegex("<!-- (?:table|value|method): [^ ]+ -->")]
    private static partial Regex AnyMark();

    [GeneratedRegex(
        "<!-- value: [^ ]+ -->[^<>]+<!-- /value -->|<!-- table: [a-z]+ -->\n\\|[^<>]+\\|\n<!-- /table -->|<!-- " +
        "method: [a-z0-9_]+ -->\n[^<>]+\n<!-- /method -->")]
    private static partial Regex FilledMark();

    [GeneratedRegex("^### (?<name>[a-z0-9_]+)$", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Section();

    [GeneratedRegex("^#+ (?<text>.+)$", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Heading();

    [GeneratedRegex("[^a-z0-9_ -]")]
    private static partial Regex NoLetter();

    [GeneratedRegex("`([A-Z][A-Za-z0-9]+Tests\\.[A-Z][A-Za-z0-9_]+)`")]
    private static partial Regex TestName();

    [GeneratedRegex(@"\]\((?<file>[^)#:]*)(?:#(?<anchor>[^)]+))?\)", RegexOptions.ExplicitCapture)]
    private static partial Regex Link();

    [GeneratedRegex(@"!\[(?<alt>[^\]]*)\]\((?<path>figures/[^)]+)\)", RegexOptions.ExplicitCapture)]
    private static partial Regex Image();
}
