using System.Text;
using CsCheck;
using LowRank.Data;
using LowRank.Data.Rows;

namespace LowRank.Tests.Data;

[Collection("alone")]
public sealed class JsonLinesTests
{
    [Fact]
    public void Lines_end_with_line_feeds_only_and_blank_ones_are_passed_over()
    {
        using var file =
            new TemporaryFile((byte[])[0xEF, 0xBB, 0xBF, .. "{1}\r\n\n  \t\r\n a\u2028b\u0085c \r\nlast"u8]);
        Assert.Equal([(1L, "{1}"), (4L, "a\u2028b\u0085c"), (5L, "last")], Read(file));
        using var empty = new TemporaryFile(Array.Empty<byte>());
        Assert.Empty(Read(empty));
    }

    [Fact]
    public void Lines_of_any_length_come_back_whole() =>
        Gen.Int[1, 200_000].Array[1, 6].Sample(lengths =>
        {
            string[] lines = [.. lengths.Select((length, i) => new string((char)('a' + i), length))];
            using var file = new TemporaryFile(lines);
            Assert.Equal(lines.Select((line, i) => (i + 1L, line)), Read(file));
        }, iter: 30);

    [Fact]
    public void Fields_beyond_the_forms_stay_reachable()
    {
        using var file = new TemporaryFile("""{"prompt": "p", "completion": "c", "facts": ["a", "b"], "n": 1}""");
        Row sample = Assert.Single(RowSource.Load([file.Path]));
        Assert.Equal("p", sample.Text("prompt"));
        Assert.Null(sample.Text("none"));
        Assert.Equal(["a", "b"], sample.Texts("facts"));
        Assert.Empty(sample.Texts("none"));
        Assert.Equal($"{file.Path}:1: \"n\" is the number 1, expected a list of texts.",
            Assert.Throws<InputException>(() => sample.Texts("n")).Message);
        Assert.Equal($"{file.Path}:1: \"n\" is the number 1, expected a text.",
            Assert.Throws<InputException>(() => sample.Text("n")).Message);
    }

    [Fact]
    public void A_large_file_is_read_in_flat_memory()
    {
        string row = $$"""{"text": "{{new string('x', 500)}}"}""";
        using var file = new TemporaryFile([.. Enumerable.Repeat(row, 100_000)]); // 51 MB
        long rows = 0, most = 0, before = GC.GetTotalMemory(forceFullCollection: true);
        foreach (Row sample in LowRank.Data.Rows.RowSource.From([file.Path]).Reading(foreign: false).Rows())
            if (++rows % 20_000 == 0) most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true) - before);
        Assert.Equal(100_000L, rows);
        Assert.InRange(most, long.MinValue, 1 << 20);
    }

    private static List<(long, string)> Read(TemporaryFile file) =>
        [.. JsonLines.Read(file.Path).Select(line => (line.Number, Encoding.UTF8.GetString(line.Utf8.Span)))];
}
