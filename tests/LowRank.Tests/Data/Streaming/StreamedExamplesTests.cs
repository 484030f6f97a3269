using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Data.Streaming;
using LowRank.Recipes;
using LowRank.Tests.Data.Rows;

namespace LowRank.Tests.Data.Streaming;

[Collection("alone")]
public sealed class StreamedExamplesTests : IDisposable
{
    private readonly DataFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1000)]
    public void Each_pass_has_every_row_once_and_another_order(int buffer)
    {
        string path = Write("x.jsonl", 100);
        using StreamedExamples stream = Stream([path], buffer, 300);
        long[][] passes = [.. stream.Select(Line).Chunk(100)];
        Assert.All(passes, pass => Assert.Equal(Enumerable.Range(1, 100).Select(i => (long)i), pass.Order()));
        if (buffer == 1) Assert.All(passes, pass => Assert.Equal(pass.Order(), pass));
        else Assert.Equal(3, passes.Select(pass => string.Join(' ', pass)).Distinct().Count());
        // a row cannot come before it was read
        if (buffer == 7)
            Assert.All(passes,
                pass => Assert.All(pass.Select((line, i) => line - i), ahead => Assert.True(ahead <= 7)));
        using StreamedExamples again = Stream([path], buffer, 300), other = Stream([path], buffer, 300, seed: 2);
        Assert.Equal(passes.SelectMany(pass => pass), again.Select(Line));
        if (buffer > 1) Assert.NotEqual(passes.SelectMany(pass => pass), other.Select(Line));
    }

    [Fact]
    public void Any_example_is_the_same_wherever_reading_begins_with_and_without_marks()
    {
        // Every third row is left out (nothing of it is learned within 12 tokens), some are broken and skipped.
        string text = string.Concat(Enumerable.Range(0, 1500).Select(i => i % 11 == 5 ? "{broken\n"
            : i % 3 == 0 ? $"{{\"prompt\": \"a long prompt {i}\", \"completion\": \"x\"}}\n"
            : $"{{\"text\": \"{i}\"}}\n"));
        string path = folder.Write("x.jsonl", text), marks = Path.Combine(folder.Path, "run", "stream.marks");
        using StreamedExamples whole = Stream([path], 50, 2000, maxLength: 12);
        whole.KeepMarks(marks);
        long[] lines = [.. whole.Select(Line)];
        Assert.DoesNotContain(lines, line => (line - 1) % 3 == 0);
        Assert.Contains("skipped because they cannot be used (data.on_bad_row: skip):",
            string.Join('\n', whole.Notes.Select(note => note.In(Recipe.Wording))), StringComparison.Ordinal);
        foreach (int start in new[] { 0, 255, 256, 999, 1998 })
            foreach (bool marked in new[] { false, true })
            {
                using StreamedExamples resumed = Stream([path], 50, 2000, maxLength: 12);
                if (marked) resumed.KeepMarks(marks);
                Assert.Equal(lines[start..], Enumerable.Range(start, lines.Length - start)
                    .Select(i => Line(resumed[i])));
                Assert.Equal(lines[Math.Max(0, start - 3)], Line(resumed[Math.Max(0, start - 3)]));
                Assert.Equal(lines[start], Line(resumed[start]));
            }
        string[] kept = File.ReadAllLines(marks);
        Assert.Equal(1 + (2000 / 256), kept.Length);
        File.WriteAllText(marks, string.Join('\n', kept[..4]) + "\n12"); // torn
        using StreamedExamples torn = Stream([path], 50, 2000, maxLength: 12);
        torn.KeepMarks(marks);
        Assert.Equal(lines[1500], Line(torn[1500]));
        File.WriteAllText(path, text + "{\"text\": \"more\"}\n");
        using StreamedExamples changed = Stream([path], 50, 2000, maxLength: 12);
        Assert.NotEqual(whole.Fingerprint, changed.Fingerprint);
        changed.KeepMarks(marks);
        Assert.Single(File.ReadAllLines(marks));
    }

    [Fact]
    public void A_full_disk_under_the_marks_is_said_with_the_file_and_what_to_do()
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "this system has no device that is always full");
        string marks = Path.Combine(folder.Path, "run", "stream.marks");
        using StreamedExamples stream = Stream([Write("x.jsonl", 300)], 10, 300);
        stream.KeepMarks(marks);
        _ = stream[254];
        File.Delete(marks);
        File.CreateSymbolicLink(marks, "/dev/full");
        RunStorageException full = Assert.Throws<RunStorageException>(() => stream[255]);
        Assert.StartsWith(
            $"{marks} could not be written: No space left on device", full.Message, StringComparison.Ordinal);
        Assert.Contains("has space and may be written to", full.Message, StringComparison.Ordinal);
        File.Delete(marks);
        Directory.CreateDirectory(marks);
        Assert.StartsWith(
            $"{marks} could not be written", Assert.Throws<RunStorageException>(() => stream.KeepMarks(marks)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Sources_are_drawn_by_weight_and_begin_again()
    {
        string small = Write("small.jsonl", 5), large = Write("large.jsonl", 1000);
        using StreamedExamples stream = Stream([small, large], 100, 2000, weights: [1, 3]);
        string[] files = [.. stream.Select(example => Path.GetFileName(example.Place!.Value.File))];
        // 500 expected, the standard deviation is 19
        Assert.InRange(files.Count(file => file == "small.jsonl"), 400, 600);
        Assert.Equal(stream.Select(Line), stream.Select(Line));
    }

    [Fact]
    public void What_is_wrong_ends_the_stream_when_it_comes()
    {
        string path = folder.Write("x.jsonl", "{\"text\": \"a\"}\n{broken\n");
        using StreamedExamples stream =
            new([RowSource.From([path])], new ByteTokenizer(), new ExampleOptions(),
                new StreamOptions { Buffer = 1 }, 5);
        _ = stream[0];
        Assert.Contains(
            "x.jsonl:2: invalid JSON", Assert.Throws<InputException>(() => stream[1]).Message,
            StringComparison.Ordinal);
        using StreamedExamples useless =
            Stream([folder.Write("y.jsonl", "{\"prompt\": \"much too long\", \"completion\": \"x\"}\n")], 10, 5,
            maxLength: 5);
        Assert.Contains("No row of", Assert.Throws<InputException>(() => useless[0]).Message, StringComparison.Ordinal);
        using StreamedExamples missing = Stream([Path.Combine(folder.Path, "none.jsonl")], 10, 5);
        Assert.Contains(
            "there is no such file", Assert.Throws<InputException>(() => missing[0]).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_large_file_streams_in_flat_memory()
    {
        string row = $$"""{"text": "{{new string('x', 500)}}"}""";
        string path = folder.Write("x.jsonl", string.Concat(Enumerable.Repeat(row + "\n", 100_000))); // 51 MB
        using StreamedExamples stream = Stream([path], 1000, 60_000, maxLength: 64);
        long before = GC.GetTotalMemory(forceFullCollection: true), most = 0;
        for (int i = 0; i < stream.Count; i++)
        {
            _ = stream[i];
            if (i % 15_000 == 14_999) most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true) - before);
        }
        // a thousand rows of 500 bytes and the 4,096 last examples of 64 tokens take 3 MB
        Assert.InRange(most, long.MinValue, 8 << 20);
    }

    private static long Line(IExample example) => example.Place!.Value.Line;

    private string Write(string name, int rows) =>
        folder.Write(name, string.Concat(Enumerable.Range(0, rows).Select(i => $"{{\"text\": \"{i}\"}}\n")));

    private static StreamedExamples Stream(
        string[] paths, int buffer, int count, long seed = 1, int maxLength = 512, double[]? weights = null) =>
        new([.. paths.Select(path => RowSource.From([path], new RowOptions { OnBadRow = BadRows.Skip }))],
            new ByteTokenizer(), new ExampleOptions { MaxLength = maxLength },
            new StreamOptions { Buffer = buffer, Seed = seed, Weights = weights }, count);
}
