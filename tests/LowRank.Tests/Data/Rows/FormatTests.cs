using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using ICSharpCode.SharpZipLib.BZip2;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Recipes;

namespace LowRank.Tests.Data.Rows;

public sealed class FormatTests : IDisposable
{
    private readonly DataFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("a.json", """[{"text": "a"}, {"text": "b"}]""")]
    [InlineData("b.json", """{"version": [1, 2], "about": {"x": [{}]}}""", "the object contains two lists")]
    [InlineData("c.json", """{"about": {"x": [1]}, "data": [{"text": "a"}, {"text": "b"}], "end": 1}""")]
    [InlineData("d.json", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n")]
    [InlineData("e.ndjson", "{\"text\": \"a\"}\n\n{\"text\": \"b\"}")]
    [InlineData("f.csv", "text\na\n\"b\"\n")]
    [InlineData("g.tsv", "text\r\na\r\nb")]
    [InlineData("h.unknown", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n")]
    [InlineData("i.json", "\uFEFF [\n{\"text\": \"a\"},\n\n {\"text\": \"b\"}\n]\n")]
    public void Formats_give_the_same_rows(string name, string content, string? refused = null)
    {
        string path = folder.Write(name, content);
        if (refused is null) Assert.Equal(["""{"text":"a"}""", """{"text":"b"}"""], DataFolder.Rows(path));
        else if (name == "b.json")
            Assert.Contains("the row is the number 1", DataFolder.Refusal(path), StringComparison.Ordinal);
    }

    [Fact]
    public void Rows_of_a_list_are_named_by_their_line()
    {
        string path = folder.Write(
            "x.json", "[\n  {\"text\": \"a\"},\n  {\n    \"text\": 1, \"text\": 2\n  },\n  7\n]");
        string refusal = DataFolder.Refusal(path);
        Assert.Contains("x.json:3: invalid JSON", refusal, StringComparison.Ordinal);
        Assert.Contains("x.json:6: the row is the number 7", refusal, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("x.json", "[{\"text\": \"a\"}, {\"tex", "invalid JSON at or after line 1")]
    [InlineData("x.json", "{\"text\": \"a\"}", "the file contains no list. Expected a list of objects")]
    [InlineData("x.json", "{\"a\": [], \"b\": [{}]}", "the object contains two lists, the first \"a\"")]
    [InlineData("x.json", "\"a\"", "the file is a text")]
    [InlineData("x.json", "", "invalid JSON")]
    [InlineData("x.json", "[]", "the list is empty")]
    [InlineData("x.json", "[{\"text\": \"a\"}] x", "invalid JSON at or after line 1")]
    [InlineData("x.jsonl", "", "the file has no rows")]
    [InlineData("x.csv", "a,b\n1,2,3\n", "x.csv:2: the row has 3 fields, expected 2 (a, b)")]
    [InlineData("x.csv", "a,a\n1,2\n", "two columns are named \"a\"")]
    [InlineData("x.csv", "a,,b\n1,2\n", "column 2 has no name")]
    [InlineData("x.csv", "a,b\n\"1,2\n3,4\n", "x.csv:2: a double quote is not closed")]
    [InlineData("x.csv", "a,b\n\"1\"2,3\n", "x.csv:2: text follows the closing double quote")]
    [InlineData("x.csv", "a,b\n", "the file has no rows")]
    [InlineData("x.parquet", "PAR1 and no more", "the file cannot be read as Parquet")]
    [InlineData("x.jsonl", "PAR1 and no more", "does not end in .parquet")]
    public void Broken_files_are_refused_in_words(string name, string content, string expected) =>
        Assert.Contains(expected, DataFolder.Refusal(folder.Write(name, content)), StringComparison.Ordinal);

    [Fact]
    public void Quoted_fields_hold_separators_quotes_and_line_ends_and_lines_are_counted()
    {
        string path = folder.Write("x.csv", "a,b\r\n\"1,\r\n\"\"2\"\"\",x\r\n\r\n3,\"\"\r\n4,5\r\n");
        IReadOnlyList<Row> rows = RowSource.Load([path]);
        Assert.Equal([("1,\r\n\"2\"", "x", 2L), ("3", "", 5L), ("4", "5", 6L)],
            rows.Select(row => (row.Text("a")!, row.Text("b")!, row.Place.Line)));
    }

    [Fact]
    public void Any_table_written_by_the_rules_reads_back() =>
        Gen.String[Gen.Char["a,\"\n\ré \t世"], 0, 6].Array[3].Array[1, 8].Sample(table =>
        {
            string text = "x,y,z\n"
                + string.Concat(
                    table.Select(row =>
                    string.Join(',',
                    row.Select(field => $"\"{field.Replace("\"", "\"\"", StringComparison.Ordinal)}\"")) + "\r\n"));
            IReadOnlyList<Row> read = RowSource.Load([folder.Write("any.csv", text)]);
            Assert.Equal(table.SelectMany(row => row),
                read.SelectMany(row => (string[])["x", "y", "z"], (row, key) => row.Text(key)!));
        }, iter: 500, threads: 1);

    [Fact]
    public void Any_list_of_objects_reads_back_wherever_the_bytes_are_cut() =>
        Gen.String[0, 40].Array[1, 30].Sample(texts =>
        {
            var list = new JsonArray(
                [.. texts.Select(
                    text => new JsonObject { ["text"] = Clean(text),
                    ["nested"] = new JsonArray(new JsonObject { ["a"] = Clean(text) }) })]);
            var problems = new DataProblems();
            byte[] bytes =
                Encoding.UTF8.GetBytes(
                    list.ToJsonString(new JsonSerializerOptions { WriteIndented = texts.Length % 2 == 0 }));
            using var content = new TrickleStream(bytes, 1 + texts.Length % 7);
            string[] read =
                [.. new JsonFormat().Read(content, "x", new RowOptions(), problems)
                .Select(row => row.Read(problems)!.ToJsonString())];
            Assert.Equal(list.Select(row => row!.ToJsonString()), read);
            Assert.Equal(0, problems.Count);
        }, iter: 300, threads: 1);

    [Theory]
    [InlineData("pairs", "the line contains \"||\" 0 times")]
    [InlineData("lines", """{"text":"a b"}|{"text":"c"}""")]
    [InlineData("document", """{"text":" a b \n\nc\n"}""")]
    [InlineData("document", """{"text":" a b \n\nc\n"}""", "\r\n")]
    [InlineData("document", """{"text":" a b \n\nc\n"}""", "\r")]
    [InlineData("lines", """{"text":"a b"}|{"text":"c"}""", "\r\n")]
    public void Plain_text_is_what_the_recipe_says(string text, string expected, string lineEnd = "\n")
    {
        RowSource source =
            RowSource.From([folder.Write("x.txt", " a b \n\nc\n".Replace("\n", lineEnd, StringComparison.Ordinal))],
            new RowOptions { Text = Enum.Parse<PlainText>(text, ignoreCase: true) });
        if (text == "pairs") Assert.Contains(expected, DataFolder.Refusal(source), StringComparison.Ordinal);
        else Assert.Equal(expected.Split('|'), DataFolder.Rows(source));
    }

    [Fact]
    public void Streams_of_bzip2_one_after_the_other_are_all_read()
    {
        byte[] Part(string text) => Compressed(Encoding.UTF8.GetBytes(text), into => new BZip2OutputStream(into));
        string path = folder.Write(
            "parts.jsonl.bz2",
            [.. Part("{\"text\": \"1\"}\n{\"te"), .. Part("xt\": \"2\"}\n"), .. Part("{\"text\": \"3\"}\n")]);
        Assert.Equal(3, DataFolder.Rows(path).Length);
    }

    [Fact]
    public void Compressed_files_are_read_whatever_their_name_says()
    {
        byte[] plain =
            Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 5000).Select(i => $"{{\"text\": \"{i}\"}}\n")));
        string[] paths =
        [
            folder.Write("a.jsonl.gz", Compressed(plain, into => new GZipStream(into, CompressionLevel.Fastest))),
            folder.Write("b.jsonl.zst", Compressed(plain, into => new ZstdSharp.CompressionStream(into))),
            folder.Write("c.jsonl.bz2", Compressed(plain, into => new BZip2OutputStream(into))),
            folder.Write("d.jsonl", Compressed(plain, into => new GZipStream(into, CompressionLevel.Fastest))),
            folder.Write("e.csv.gz",
            Compressed("text\n1\n"u8.ToArray(), into => new GZipStream(into, CompressionLevel.Fastest))),
        ];
        foreach (string path in paths[..4]) Assert.Equal(5000, DataFolder.Rows(path).Distinct().Count());
        Assert.Equal(["""{"text":"1"}"""], DataFolder.Rows(paths[4]));
        foreach (string path in paths[..3])
        {
            File.WriteAllBytes(path, File.ReadAllBytes(path)[..^200]);
            string refusal = DataFolder.Refusal(path);
            Assert.True(refusal.Contains("cannot be read to its end", StringComparison.Ordinal), refusal);
        }
        Assert.Contains(
            "compressed with xz",
            DataFolder.Refusal(folder.Write("f.jsonl.xz", [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00, 1, 2])),
            StringComparison.Ordinal);
        Assert.Contains(
            "zip archive", DataFolder.Refusal(folder.Write("g.csv", [0x50, 0x4B, 3, 4, 0])), StringComparison.Ordinal);
        Assert.Contains(
            "UTF-16 without a byte order mark", DataFolder.Refusal(folder.Write("h.csv", [0x61, 0, 0x62, 0])),
            StringComparison.Ordinal);
        byte[] twice =
            Compressed(Compressed(plain, into => new GZipStream(into, CompressionLevel.Fastest)),
            into => new ZstdSharp.CompressionStream(into));
        Assert.Contains(
            "compressed twice", DataFolder.Refusal(folder.Write("i.jsonl.zst", twice)), StringComparison.Ordinal);
        byte[] zip = Compressed([0x50, 0x4B, 3, 4, 0], into => new GZipStream(into, CompressionLevel.Fastest));
        Assert.Contains("zip archive", DataFolder.Refusal(folder.Write("j.jsonl.gz", zip)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gz")]
    [InlineData("bz2")]
    [InlineData("zst")]
    public void What_is_damaged_or_follows_a_compressed_part_is_an_error(string kind)
    {
        byte[] Part(string text) =>
            Compressed(Encoding.UTF8.GetBytes(text),
            into => kind switch { "gz" => new GZipStream(into, CompressionLevel.Fastest),
            "bz2" => new BZip2OutputStream(into), _ => new ZstdSharp.CompressionStream(into) });
        byte[] first = Part(string.Concat(Enumerable.Range(0, 50).Select(i => $"{{\"text\": \"{i}\"}}\n"))),
            second = Part(string.Concat(Enumerable.Range(50, 50).Select(i => $"{{\"text\": \"{i}\"}}\n")));
        string name = $"x.jsonl.{kind}";
        Assert.Equal(100, DataFolder.Rows(folder.Write(name, [.. first, .. second])).Length);
        foreach (int at in (int[])[0, 1, 3, second.Length / 2, second.Length - 6])
        {
            byte[] damaged = [.. second];
            damaged[at] ^= 0x55;
            if (kind == "zst" && at == second.Length - 6) continue; // no sum is written
            Assert.Contains("cannot be read to its end", DataFolder.Refusal(folder.Write(name, [.. first, .. damaged])),
                StringComparison.Ordinal);
        }
        Assert.Contains(
            "cannot be read to its end", DataFolder.Refusal(folder.Write(name, [.. first, .. "and more"u8])),
            StringComparison.Ordinal);
        Assert.Contains("cannot be read to its end", DataFolder.Refusal(folder.Write(name, [.. first, .. second[..2]])),
            StringComparison.Ordinal);
        // as tape archives are padded
        if (kind == "gz")
            Assert.Equal(100,
                DataFolder.Rows(folder.Write(name, [.. first, .. new byte[700], .. second, .. new byte[3]])).Length);
    }

    [Fact]
    public void Headers_of_gzip_members_are_passed_over_with_all_they_may_hold()
    {
        byte[] plain =
            Compressed("{\"text\": \"a\"}\n"u8.ToArray(), into => new GZipStream(into, CompressionLevel.Fastest));
        byte[] full = [0x1F, 0x8B, 8, 4 | 8 | 16 | 2, 0, 0, 0, 0, 0, 3, 2, 0, 7, 7, (byte)'n', 0, (byte)'c', 0, 1, 2,
            .. plain[10..]];
        Assert.Single(DataFolder.Rows(folder.Write("x.jsonl.gz", full)));
    }

    [Fact]
    public void Folders_and_patterns_are_taken_in_the_order_of_names()
    {
        folder.Write("b/2.jsonl", "{\"n\": 2}\n");
        folder.Write("b/1.csv", "n\n1\n");
        folder.Write("b/deep/3.json", "[{\"n\": 3}]");
        folder.Write("b/README.md", "# about");
        folder.Write("b/.hidden/4.jsonl", "{\"n\": 4}\n");
        string b = Path.Combine(folder.Path, "b");
        RowReading reading = RowSource.From([b]).Reading(foreign: false);
        Assert.Equal(["1", "2", "3"], reading.Rows().Select(row => row.Fields["n"]!.ToString()));
        Assert.Contains(
            "1 others are not (README.md)", Assert.Single(reading.Notes).ToString(), StringComparison.Ordinal);
        Assert.Equal(["""{"n":2}"""], DataFolder.Rows(Path.Combine(b, "*.jsonl")));
        Assert.Equal(["""{"n":"1"}""", """{"n":2}""", """{"n":3}"""],
            DataFolder.Rows(Path.Combine(folder.Path, "**", "?.*")));
        Assert.Contains(
            "no file matches this pattern", DataFolder.Refusal(Path.Combine(b, "*.parquet")), StringComparison.Ordinal);
        folder.Write("c/x.md", "");
        Assert.Contains(
            "the folder has no data file", DataFolder.Refusal(Path.Combine(folder.Path, "c")),
            StringComparison.Ordinal);
        Assert.Contains(
            "there is no such file", DataFolder.Refusal(Path.Combine(b, "none.jsonl")), StringComparison.Ordinal);
    }

    [Fact]
    public void Wrong_rows_are_left_out_and_counted_where_the_recipe_says_so()
    {
        string path = folder.Write(
            "x.jsonl", string.Concat(
                Enumerable.Range(0, 30).Select(i => i % 2 == 0 ? $"{{\"text\": \"{i}\"}}\n" : "{broken\n")));
        RowReading reading = RowSource.From([path], new RowOptions { OnBadRow = BadRows.Skip }).Reading(foreign: false);
        Assert.Equal(15, reading.Rows().Count());
        reading.Problems.ThrowIfAny();
        string note = Assert.Single(reading.Notes).In(Recipe.Wording);
        Assert.StartsWith("15 rows were skipped because they cannot be used (data.on_bad_row: skip):", note,
            StringComparison.Ordinal);
        Assert.Contains($"15 rows, first at {path}:2: invalid JSON", note, StringComparison.Ordinal);
        Assert.Contains(
            "there is no such file",
            DataFolder.Refusal(RowSource.From(["/none.jsonl"], new RowOptions { OnBadRow = BadRows.Skip })),
            StringComparison.Ordinal);
    }

    private static byte[] Compressed(byte[] plain, Func<Stream, Stream> compress)
    {
        using var into = new MemoryStream();
        using (Stream stream = compress(into)) stream.Write(plain);
        return into.ToArray();
    }

    // A lone surrogate has no UTF-8.
    private static string Clean(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
}
