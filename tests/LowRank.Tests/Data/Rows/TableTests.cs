using System.Text;
using LowRank.Data;
using LowRank.Data.Rows;

namespace LowRank.Tests.Data.Rows;

/// <summary>Tables as spreadsheets and programs write them.</summary>
public sealed class TableTests : IDisposable
{
    private const string TwoRows = """{"text":"lovely stay","label":"good"}|{"text":"awful, smell","label":"bad"}""";
    private readonly DataFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("x.csv", "text,label\nlovely stay,good\n\"awful, smell\",bad\n")]
    [InlineData("x.csv", "\uFEFFtext;label\r\nlovely stay;good\r\nawful, smell;bad\r\n")]
    [InlineData("x.csv", "sep=;\r\ntext;label\r\nlovely stay;good\r\nawful, smell;bad\r\n")]
    [InlineData("x.csv", "\uFEFFsep=,\ntext,label\nlovely stay,good\n\"awful, smell\",bad\n")]
    [InlineData("x.csv", "text\tlabel\nlovely stay\tgood\nawful, smell\tbad\n")]
    [InlineData("x.csv", "text|label\nlovely stay|good\nawful, smell|bad\n")]
    [InlineData("x.tsv", "text,label\nlovely stay,good\n\"awful, smell\",bad\n")]
    [InlineData("x.csv", "text,label\rlovely stay,good\r\"awful, smell\",bad")]
    [InlineData("x.csv", "text , label\n\nlovely stay,good\n\n\n\"awful, smell\",bad\n\n")]
    [InlineData("x.csv", "text,label\nlovely stay,good\n \"awful, smell\" ,\"bad\"\n")]
    [InlineData("x.csv", ",text,label\n0,lovely stay,good\n1,\"awful, smell\",bad\n")]
    [InlineData("x.csv", "text,label,\nlovely stay,good,\n\"awful, smell\",bad,\n")]
    public void Tables_of_all_kinds_give_the_same_rows(string name, string content) =>
        Assert.Equal(TwoRows.Split('|'), DataFolder.Rows(folder.Write(name, content)));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Tables_in_UTF_16_are_read_by_their_mark(bool bigEndian)
    {
        var encoding = new UnicodeEncoding(bigEndian, byteOrderMark: true);
        byte[] bytes =
            [.. encoding.GetPreamble(),
            .. encoding.GetBytes("text\tlabel\r\nlovely stay\tgood\r\nawful, smell\tbad\r\n")];
        Assert.Equal(TwoRows.Split('|'), DataFolder.Rows(folder.Write("x.csv", bytes)));
        Assert.Contains(
            "cannot be read to its end",
            DataFolder.Refusal(
                folder.Write("y.csv", [.. bytes, .. encoding.GetBytes("a\tb\n"), 0xD8, 0xD8, 0xD8, 0xD8])),
                StringComparison.Ordinal);
    }

    [Fact]
    public void Quotes_inside_a_field_are_its_own() =>
        Assert.Equal(["the 12\" pizza", "awful \"smell\"", " one"],
            RowSource.Load(
                [folder.Write("x.csv", "text,label\nthe 12\" pizza,good\nawful \"smell\",bad\n one,bad\n")])
                .Select(row => row.Text("text")));

    [Fact]
    public void An_empty_field_is_absent_and_one_in_quotes_is_an_empty_text() =>
        Assert.Equal(["""{"text":"a"}""", """{"text":"b","label":""}"""],
            DataFolder.Rows(folder.Write("x.csv", "text,label\na,\nb,\"\"\n")));

    [Fact]
    public void Without_a_header_columns_have_numbers()
    {
        string path = folder.Write("x.csv", "lovely stay;good\nawful, smell;bad\n");
        var options = new RowOptions { Csv = new TableOptions { Header = false },
            Columns = new Dictionary<string, string> { ["text"] = "0", ["label"] = "1" } };
        Assert.Equal(TwoRows.Split('|'), DataFolder.Rows(RowSource.From([path], options)));
        Assert.Contains(
            "columns found: \"0\", \"1\"",
            DataFolder.Refusal(
                RowSource.From(
                    [path], options with { Columns = new Dictionary<string, string> { ["text"] = "text" } })),
                StringComparison.Ordinal);
    }

    [Fact]
    public void A_separator_that_is_given_counts_and_one_that_was_found_is_said()
    {
        string path = folder.Write("x.csv", "a,b;c\n1,2;3\n");
        Assert.Equal(["""{"a,b":"1,2","c":"3"}"""],
            DataFolder.Rows(RowSource.From([path], new RowOptions { Csv = new TableOptions { Separator = ';' } })));
        Assert.Equal(["""{"a,b;c":"1,2;3"}"""],
            DataFolder.Rows(RowSource.From([folder.Write("z.csv", "\"a,b;c\"\n\"1,2;3\"\n")])));
        Assert.Contains("is one column. Expected columns separated by tabs, as the table separator says",
            DataFolder.Refusal(RowSource.From([path], new RowOptions { Csv = new TableOptions { Separator = '\t' } })),
            StringComparison.Ordinal);
        RowReading reading = RowSource.From([folder.Write("y.csv", ";a;b\n0;1;2\n")]).Reading(foreign: false);
        Assert.Single(reading.Rows());
        Assert.Equal(
            [$"{folder.Path}/y.csv: the columns are separated by semicolons.",
            $"{folder.Path}/y.csv: column 1 has no name and is skipped."],
            reading.Notes.Select(note => note.ToString()));
    }

    [Fact]
    public void Questions_of_SQuADs_own_file_are_rows()
    {
        string path = folder.Write("train-v2.0.json", """
            {"version": "v2.0", "data": [
              {"title": "A", "paragraphs": [
                {"context": "Bob is in Rome.", "qas": [
                  {"id": "1", "question": "Who?", "answers": [{"text": "Bob", "answer_start": 0}], "is_impossible": false},
                  {"id": "2", "question": "When?", "plausible_answers": [{"text": "Rome", "answer_start": 10}], "answers": [], "is_impossible": true}]},
                {"context": "Ann is in Oslo.", "qas": [{"id": "3", "question": "Where?", "answers": [{"text": "Oslo", "answer_start": 10}]}]}]},
              {"title": "B", "paragraphs": []}]}
            """);
        RowReading reading = RowSource.From([path]).Reading(foreign: false);
        Row[] rows = [.. reading.Rows()];
        reading.Problems.ThrowIfAny();
        Assert.Equal(
            [
                """{"title":"A","context":"Bob is in Rome.","id":"1","question":"Who?","answers":{"text":["Bob"],"answer_start":[0]}}""",
                """{"title":"A","context":"Bob is in Rome.","id":"2","question":"When?","answers":{"text":[],"answer_start":[]}}""",
                """{"title":"A","context":"Ann is in Oslo.","id":"3","question":"Where?","answers":{"text":["Oslo"],"answer_start":[10]}}""",
            ], rows.Select(row => row.Fields.ToJsonString()));
        Assert.Equal($"{path}, row 3", rows[2].Place.ToString());
        Assert.Contains("SQuAD", Assert.Single(reading.Notes).ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[{\"text\": \"a\"}]", ".json")]
    [InlineData("\uFEFF{\"text\": \"a\"}\n{\"text\": \"b\"}\n", ".jsonl")]
    [InlineData("{\"messages\": [{\"role\": \"user\"}]}", ".jsonl")]
    [InlineData("{\"data\": [\n{\"text\": \"a\"}]}", ".json")]
    [InlineData("text;label\na;b\n", ".csv")]
    [InlineData("a||b\n", ".txt")]
    public void Content_without_a_name_tells_its_format(string content, string expected) =>
        Assert.Contains(expected, RowFormats.OfContent(Encoding.UTF8.GetBytes(content), new RowOptions()).Extensions);

    [Fact]
    public void Blanks_between_rows_are_read_up_to_a_limit()
    {
        foreach (string begins in (string[])["[", "[{\"text\": \"a\"},", "{\"data\" "])
        {
            using var content = new EndlessStream(begins, (byte)' ', 300L << 20);
            var problems = new DataProblems();
            long before = GC.GetAllocatedBytesForCurrentThread();
            foreach (UnreadRow row in new JsonFormat().Read(content, "x.json", new RowOptions(), problems))
                row.Read(problems);
            Assert.Contains("64 MB", Assert.Single(problems.Shown).ToString(), StringComparison.Ordinal);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 400L << 20);
        }
    }

    [Fact]
    public void Many_null_fields_take_time_in_proportion()
    {
        string path = folder.Write(
            "x.jsonl",
            $"{{{string.Concat(Enumerable.Range(0, 200_000).Select(i =>
                $"\"n{i}\":null,\"a{i}\":1,"))}\"text\":\"a\"}}");
        // quadratic, this is minutes
        Assert.Equal(200_001, Assert.Single(RowSource.From([path]).ReadAll(foreign: false)).Fields.Count);
    }

    [Fact]
    public void A_pipe_is_read_once_and_a_device_refused()
    {
        if (!OperatingSystem.IsLinux()) return;
        Assert.Contains("this is a device", DataFolder.Refusal("/dev/zero"), StringComparison.Ordinal);
        Assert.False(RowFiles.IsReadOnce(folder.Write("x.csv", "a\n")));
        Assert.True(RowFiles.IsReadOnce("-"));
    }
}
