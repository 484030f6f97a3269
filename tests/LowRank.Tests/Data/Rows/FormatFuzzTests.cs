using System.Diagnostics;
using System.Runtime.CompilerServices;
using LowRank.Data;
using LowRank.Data.Rows;

namespace LowRank.Tests.Data.Rows;

/// <summary>Readers of data files under damaged input: always rows or an <see cref="InputException"/>, soon, in little memory.</summary>
[Collection("alone")]
public sealed class FormatFuzzTests : IDisposable
{
    private const int MutationsPerSeed = 150;
    private static readonly string[] Names = ["x.jsonl", "x.json", "x.csv", "x.tsv", "x.txt", "x.parquet"];
    private readonly DataFolder folder = new();

    public void Dispose() => folder.Dispose();

    public static TheoryData<string> Seeds => [.. Directory.GetFiles(Corpus()).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Damaged_files_are_read_or_refused_in_words(string seed)
    {
        byte[] bytes = File.ReadAllBytes(Path.Combine(Corpus(), seed));
        var random = new StableRandom((ulong)seed.Sum(letter => (long)letter));
        string name = Names.Single(name => seed.EndsWith(Path.GetExtension(name) + Compression(seed), StringComparison.Ordinal)) + Compression(seed);
        Read(name, bytes);
        long started = Stopwatch.GetTimestamp();
        for (int i = 0; i < MutationsPerSeed; i++) Read(name, Mutated(bytes, random));
        Assert.InRange(Stopwatch.GetElapsedTime(started).TotalSeconds, 0, 60);
    }

    [Fact]
    public void Random_bytes_are_refused_in_words_whatever_the_file_is_called()
    {
        var random = new StableRandom(11);
        for (int i = 0; i < 600; i++)
        {
            byte[] bytes = new byte[random.Below(300)];
            for (int at = 0; at < bytes.Length; at++) bytes[at] = random.Below(3) == 0 ? (byte)random.Below(256) : "[]{}\",:\n|\\ 0truenl\t"u8[random.Below(19)];
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
        IRowFormat format = RowFormats.Of(name);
        using var content = new EndlessStream(begins, name.EndsWith(".csv", StringComparison.Ordinal) && begins.EndsWith(',') ? (byte)',' : (byte)'a', 300L << 20);
        long before = GC.GetTotalAllocatedBytes();
        var problems = new DataProblems();
        foreach (UnreadRow row in format.Read(content, name, PlainText.Pairs, problems)) row.Read(problems);
        Assert.True(problems.Count > 0);
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 400L << 20); // buffers that double up to 128 MB
    }

    private void Read(string name, byte[] bytes)
    {
        string path = folder.Write(name, bytes);
        foreach (BadRows badRows in new[] { BadRows.Error, BadRows.Skip })
        {
            RowReading reading = RowSource.Of([path], new RowOptions { OnBadRow = badRows }).Reading(foreign: true);
            long before = GC.GetAllocatedBytesForCurrentThread();
            foreach (Sample row in reading.Rows()) Assert.Equal(path, row.Place.File);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 200L << 20);
            if (Record.Exception(reading.Problems.ThrowIfAny) is { } refused) Assert.IsType<InputException>(refused);
        }
    }

    private static byte[] Mutated(byte[] bytes, StableRandom random)
    {
        List<byte> mutated = [.. bytes];
        for (int change = 0; change <= random.Below(4) && mutated.Count > 0; change++)
        {
            int at = random.Below(mutated.Count);
            switch (random.Below(5))
            {
                case 0: mutated[at] ^= (byte)(1 << random.Below(8)); break;
                case 1: mutated[at] = (byte)random.Below(256); break;
                case 2: mutated.RemoveRange(at, Math.Min(mutated.Count - at, 1 + random.Below(16))); break;
                case 3: mutated.InsertRange(at, mutated.GetRange(at, Math.Min(mutated.Count - at, 1 + random.Below(32)))); break;
                default: mutated.RemoveRange(at, mutated.Count - at); break;
            }
        }
        return [.. mutated];
    }

    private static string Compression(string seed) => Path.GetExtension(seed) is ".gz" or ".zst" or ".bz2" ? Path.GetExtension(seed) : "";

    private static string Corpus([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "Corpus");
}
