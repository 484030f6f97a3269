using LowRank.Data;
using LowRank.Data.Rows;

namespace LowRank.Tests.Data.Rows;

/// <summary>Readers of data files under input that was never a file of theirs: always rows or an
/// <see cref="InputException"/>, soon, in little memory.</summary>
[Collection("alone")]
public sealed class FormatFuzzTests : IDisposable
{
    private static readonly string[] Names = ["x.jsonl", "x.json", "x.csv", "x.tsv", "x.txt", "x.parquet"];
    private readonly DataFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Random_bytes_are_refused_in_words_whatever_the_file_is_called()
    {
        var random = new StableRandom(11);
        for (int i = 0; i < 600; i++)
        {
            byte[] bytes = new byte[random.Below(300)];
            for (int at = 0; at < bytes.Length; at++)
                bytes[at] = random.Below(3) == 0 ? (byte)random.Below(256)
                    : "[]{}\",:\n|\\ 0truenl\t"u8[random.Below(19)];
            Read(Names[i % Names.Length], bytes);
        }
    }

    [Theory]
    [InlineData("x.jsonl", "{\"text\": \"a")]
    [InlineData("x.json", "[[")]
    [InlineData("x.json", "[{\"a\": \"")]
    [InlineData("x.json", "{\"a\": [{\"b\": ")]
    [InlineData("x.csv", "a,b\n\"")]
    [InlineData("x.csv", "a,b\n,")]
    public void Files_that_never_come_to_an_end_take_no_more_memory_than_a_row_may(string name, string begins)
    {
        IRowFormat format = RowFormats.For(name);
        using var content = new EndlessStream(
            begins, name.EndsWith(".csv", StringComparison.Ordinal) && begins.EndsWith(',') ? (byte)','
            : (byte)'a', 300L << 20);
        long before = GC.GetTotalAllocatedBytes();
        var problems = new DataProblems();
        foreach (UnreadRow row in format.Read(content, name, new RowOptions(), problems)) row.Read(problems);
        Assert.True(problems.Count > 0);
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 400L << 20); // buffers that double up to 128 MB
    }

    private void Read(string name, byte[] bytes)
    {
        string path = folder.Write(name, bytes);
        foreach (BadRows badRows in new[] { BadRows.Error, BadRows.Skip })
        {
            RowReading reading = RowSource.From([path], new RowOptions { OnBadRow = badRows }).Reading(foreign: true);
            long before = GC.GetAllocatedBytesForCurrentThread();
            foreach (Row row in reading.Rows()) Assert.Equal(path, row.Place.File);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 200L << 20);
            if (Record.Exception(reading.Problems.ThrowIfAny) is { } refused) Assert.IsType<InputException>(refused);
        }
    }
}
