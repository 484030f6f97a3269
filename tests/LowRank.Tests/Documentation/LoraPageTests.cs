using System.Text.RegularExpressions;
using System.Xml.Linq;
using LowRank.Samples.Understanding;

namespace LowRank.Tests.Documentation;

public sealed partial class LoraPageTests
{
    private const string Folder = "docs/figures/lora/";
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    private static Results Measured { get; } = Results.Load(Path.Combine(RepositoryFiles.Root, Folder, "results.json"));

    [Fact]
    public void Tables_and_numbers_of_the_page_are_those_of_the_results()
    {
        string page = RepositoryFiles.Read("docs/lora.md");
        Assert.Equal(Page.Fill(page, Measured), page);
        Assert.Equal(Page.Reports.Select(report => report.Name).Order(), TableMark().Matches(page).Select(mark => mark.Groups[1].Value).Order());
    }

    [Fact]
    public void A_changed_number_shows_in_the_page()
    {
        string page = RepositoryFiles.Read("docs/lora.md");
        RunResult run = Measured.Run("lora-r16");
        Assert.NotEqual(page, Page.Fill(page, Measured.With(run with { HeldOutLoss = run.HeldOutLoss + 0.01 })));
    }

    [Fact]
    public void Every_mark_of_the_page_is_filled()
    {
        string page = RepositoryFiles.Read("docs/lora.md");
        int marks = AnyMark().Count(page);
        Assert.True(marks > 20, $"only {marks} marks were seen: the scan is broken");
        Assert.Equal(marks, FilledMark().Count(page));
    }

    [Fact]
    public void Figures_are_drawn_from_the_results()
    {
        foreach ((string name, string svg) in Page.Figures(Measured)) Assert.Equal(svg, RepositoryFiles.Read(Folder + name));
    }

    [Fact]
    public void Linked_figures_exist_are_well_formed_and_say_what_they_show()
    {
        MatchCollection links = Image().Matches(RepositoryFiles.Read("docs/lora.md"));
        Assert.Equal(Page.Figures(Measured).Count, links.Count);
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
    public void A_mark_without_a_number_is_refused_by_name()
    {
        InputException refused = Assert.Throws<InputException>(() => Page.Fill("<!-- value: lora-r3.loss -->0<!-- /value -->", Measured));
        Assert.Contains("lora-r3.loss", refused.Message);
        Assert.Contains("lora-r4.loss", refused.Message);
        Assert.Contains("nothing", Assert.Throws<InputException>(() => Page.Fill("<!-- table: nothing -->\n<!-- /table -->", Measured)).Message);
    }

    [Fact]
    public void Titles_with_marks_of_XML_stay_text()
    {
        string svg = SvgChart.Bars("a < b & \"c\"", "d > e", "ratio", [new ChartBar("<f>", 1, "1")]);
        Assert.Equal("a < b & \"c\"", XDocument.Parse(svg).Root!.Element(Svg + "title")!.Value);
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

    [GeneratedRegex("<!-- (?:table|value): [^ ]+ -->")]
    private static partial Regex AnyMark();

    [GeneratedRegex("<!-- value: [^ ]+ -->[^<>]+<!-- /value -->|<!-- table: [a-z]+ -->\n\\|[^<>]+\\|\n<!-- /table -->")]
    private static partial Regex FilledMark();

    [GeneratedRegex(@"!\[(?<alt>[^\]]*)\]\((?<path>figures/[^)]+)\)", RegexOptions.ExplicitCapture)]
    private static partial Regex Image();
}
