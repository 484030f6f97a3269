using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;

namespace LowRank.Tests.Adapters;

/// <summary>How rows were read, kept beside an adapter.</summary>
public sealed class AdapterDataTests
{
    private static readonly RowOptions Special = new()
    {
        Columns = new Dictionary<string, string> { ["label"] = "1" },
        Template = new RowTemplate(new Dictionary<string, string> { ["text"] = "{{ a }}" }),
        Text = PlainText.Lines,
        Csv = new TableOptions { Separator = '\t', Header = false },
    };

    [Fact]
    public void What_training_read_is_read_again()
    {
        using var folder = new TemporaryFolder();
        AdapterData.From(Special, TrainOn.All)!.Save(folder.Path);
        Assert.Contains(
            "\"csv_separator\": \"tab\"", File.ReadAllText(folder[AdapterData.FileName]), StringComparison.Ordinal);
        AdapterData read = AdapterData.Load(folder.Path)!;
        RowOptions rows = read.Rows();
        Assert.Equal(Special.Columns, rows.Columns);
        Assert.Equal(Special.Template!.Sources, rows.Template!.Sources);
        Assert.Equal((Special.Text, Special.Csv), (rows.Text, rows.Csv));
        Assert.Equal(
            "columns label=1; a template of text; text lines; tables parted by tab; tables without a header; " +
            "learning of all", read.ToString());
        Assert.Equal(read.ToString(), AdapterData.Common([read, AdapterData.From(Special, TrainOn.All)])!.ToString());
        Assert.Null(AdapterData.Common([read, null]));
    }

    [Fact]
    public void Rows_that_need_nothing_said_leave_no_file()
    {
        using var folder = new TemporaryFolder();
        Assert.Null(AdapterData.From(new RowOptions { OnBadRow = BadRows.Skip }, TrainOn.Completion));
        Assert.Null(AdapterData.Load(folder.Path));
    }

    [Theory]
    [InlineData("""{"text": "poem"}""", "text is poem, expected one of pairs, lines, document")]
    [InlineData("""{"csv_separator": "ab"}""", "the separator is \"ab\", expected auto, tab, or one ASCII character")]
    [InlineData("""{"template": {"prompt": "a"}}""",
        "the row template has prompt; expected text, or prompt and completion")]
    [InlineData("""{"train_on": "none"}""", "train_on is none, expected one of completion, all")]
    [InlineData("""{"colums": {}}""", "is not what LowRank writes")]
    public void A_broken_file_is_refused_in_words(string text, string expected)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder[AdapterData.FileName], text);
        string refusal = Assert.Throws<InputException>(() => AdapterData.Load(folder.Path)).Message;
        Assert.Contains(expected, refusal, StringComparison.Ordinal);
        Assert.Contains(AdapterData.FileName, refusal, StringComparison.Ordinal);
    }
}
