using CsCheck;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Data.Stored;
using LowRank.Recipes;
using LowRank.Tests.Data.Rows;
using LowRank.Tokenizers;

namespace LowRank.Tests.Data.Stored;

public sealed class ExampleCacheTests : IDisposable
{
    private static readonly Tokenizer Words = Tokenizer.Load(Path.Combine(RepositoryFiles.Root, "models", "base"));
    private readonly DataFolder folder = new();

    public void Dispose() => folder.Dispose();

    private string Cache => Path.Combine(folder.Path, "cache");

    [Fact]
    public void Any_example_reads_back_as_it_was() =>
        Gen.Select(Gen.Int[0, 200_000].Array[1, 60], Gen.Int[0, 3], Gen.Int[-1, 9].Array[60], Gen.Bool.Array[60]).Array[
            1, 20].Sample(drawn =>
        {
            TokenizedExample[] examples = [.. drawn.Select((row, i) => new TokenizedExample(row.Item1,
                [.. row.Item1.Select((id, at) => row.Item3[at] < 0 ? TokenizedExample.Ignored : row.Item2 == 0
                    ? row.Item3[at] : row.Item4[at] ? id : TokenizedExample.Ignored)],
                row.Item2 == 1 ? [.. row.Item1.Select((_, at) => row.Item4[at] ? 1 : 0)] : null,
                row.Item2 == 2 ? null : new DataPlace($"file{i % 3}", i * 300L + 1) { IsRow = i % 2 == 0 }))];
            string path = Path.Combine(folder.Path, "any.tokens");
            ExampleFile.Write(path, examples, (files, print) => Content(files, print));
            using StoredExamples stored = ExampleFile.Open(path, "key")!;
            Assert.Equal(examples.Length, stored.Count);
            for (int i = examples.Length - 1; i >= 0; i--) Assert.Equivalent(examples[i], stored[i], strict: true);
            Assert.Equal(ExampleFingerprint.Of(examples), stored.Fingerprint);
        }, iter: 200, threads: 1);

    [Fact]
    public void A_torn_or_changed_file_is_never_taken_for_a_whole_one()
    {
        TokenizedExample[] examples =
            [.. Enumerable.Range(0, 50)
            .Select(i => new TokenizedExample([1, 2, i], [-100, 2, i], null, new DataPlace("f", i + 1)))];
        string path = Path.Combine(folder.Path, "x.tokens");
        ExampleFile.Write(path, examples, (files, print) => Content(files, print));
        Assert.Null(ExampleFile.Open(path, "another key"));
        byte[] whole = File.ReadAllBytes(path);
        for (int length = 0; length < whole.Length; length += 7)
        {
            File.WriteAllBytes(path, whole[..length]);
            Assert.Null(ExampleFile.Open(path, "key"));
        }
        int refused = 0;
        for (int at = 0; at < whole.Length; at += 3)
        {
            byte[] changed = [.. whole];
            changed[at] ^= 0x10;
            File.WriteAllBytes(path, changed);
            using StoredExamples? stored = ExampleFile.Open(path, "key");
            if (stored is null) refused++;
            else
                // A row that is not what was written says so when it is read; all others are as they were.
                for (int i = 0; i < examples.Length; i++)
                    if (Record.Exception(() => Assert.Equivalent(examples[i], stored[i], strict: true)) is { } failure)
                        Assert.IsType<InputException>(failure);
        }
        Assert.True(refused > 50);
    }

    [Fact]
    public void The_second_run_reads_what_the_first_made_and_a_change_of_anything_makes_it_anew()
    {
        string data = folder.Write("x.jsonl", Rows(300));
        var options = new ExampleOptions { MaxLength = 16 };
        LoadedExamples plain = ExampleLoader.Load([data], Words, options), first = Load(data, options);
        Assert.Equivalent(plain.Summary, first.Summary, strict: true);
        Assert.Equal(plain.Notes.Select(note => note.ToString()), first.Notes.Select(note => note.ToString()));
        Assert.Equal(plain.Examples.Count, first.Examples.Count);
        for (int i = 0; i < plain.Examples.Count; i++)
            Assert.Equivalent(plain.Examples[i], first.Examples[i], strict: true);
        string file = Assert.Single(Files());
        byte[] whole = File.ReadAllBytes(file), changed = [.. whole];
        changed[5] ^= 1; // in the first row: where the second run sees it, the row was not made anew
        File.WriteAllBytes(file, changed);
        LoadedExamples second = Load(data, options);
        Assert.Equivalent(first.Summary, second.Summary, strict: true);
        Assert.Contains(
            "Delete the file; it will be created again",
            Assert.Throws<InputException>(() => second.Examples[0]).Message,
            StringComparison.Ordinal);
        Assert.Equivalent(first.Examples[1], second.Examples[1], strict: true);
        File.WriteAllBytes(file, whole);
        Load(data, options with { TrainOn = TrainOn.All });
        Load(data, options with { MaxLength = 15 });
        new ExampleCache(Cache, 1).Load(RowSource.From([data], null, new RowSplit(0.5, 1, true)), Words, options);
        new ExampleCache(Cache, 1).Load(RowSource.From([data], new RowOptions { Deduplicate = true }), Words, options);
        Assert.Equal(5, Files().Length);
        File.AppendAllText(data, "{\"text\": \"one more\"}\n");
        Assert.Equal(first.Examples.Count + 1, Load(data, options).Examples.Count);
        Assert.Equal(6, Files().Length);
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..100]); // torn
        File.WriteAllText(data, Rows(300));
        Assert.Equal(first.Examples.Count, Load(data, options).Examples.Count);
        Assert.True(new FileInfo(file).Length > 1000);
    }

    [Fact]
    public void Small_data_wrong_rows_and_a_folder_that_cannot_be_written_leave_no_file()
    {
        string data = folder.Write("x.jsonl", Rows(10));
        new ExampleCache(Cache).Load(RowSource.From([data]), Words, new ExampleOptions());
        Assert.False(Directory.Exists(Cache));
        string wrong = folder.Write("y.jsonl", Rows(10) + "{broken\n");
        Assert.Throws<InputException>(() => Load(wrong, new ExampleOptions()));
        Assert.Empty(Directory.GetFiles(Cache));
        string blocked = folder.Write("file", "");
        LoadedExamples held = new ExampleCache(Path.Combine(blocked, "cache"), 1)
            .Load(RowSource.From([data]), Words, new ExampleOptions());
        Assert.Equal(10, held.Examples.Count);
        Assert.Contains("could not be stored in", Assert.Single(held.Notes).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Notes_that_are_read_back_name_their_settings()
    {
        string data = folder.Write("x.jsonl", Rows(10) + Rows(1));
        LoadedExamples[] loaded = [.. Enumerable.Range(0, 2).Select(_ => new ExampleCache(Cache, 1).Load(
            RowSource.From([data], new RowOptions { Deduplicate = true }), Words, new ExampleOptions()))];
        Assert.Single(Files());
        Assert.All(loaded, each => Assert.Equal("1 row was skipped as repeated (data.deduplicate).",
            Assert.Single(each.Notes).In(Recipe.Wording)));
    }

    [Fact]
    public void Many_writers_at_once_leave_one_whole_file()
    {
        string data = folder.Write("x.jsonl", Rows(200));
        LoadedExamples[] all = new LoadedExamples[6];
        Parallel.For(0, all.Length, i => all[i] = Load(data, new ExampleOptions()));
        Assert.Single(Files());
        Assert.Equal(all.Length, Directory.GetFiles(Cache).Length + all.Length - 1);
        Assert.All(all, loaded => Assert.Equivalent(all[0].Examples[199], loaded.Examples[199], strict: true));
    }

    private LoadedExamples Load(string data, ExampleOptions options) =>
        new ExampleCache(Cache, 1).Load(RowSource.From([data]), Words, options);

    private string[] Files() => [.. Directory.GetFiles(Cache, "*.tokens").Order()];

    private static string Rows(int count) =>
        string.Concat(
            Enumerable.Range(0, count)
            .Select(i => $"{{\"prompt\": \"name: The Lamp {i}\\n\", \"completion\": \"It is a hotel, {i}.\"}}\n"));

    private static StoredContent Content(IReadOnlyList<string> files, string print) => new()
    {
        Key = "key", Fingerprint = print, Notes = [], Files = files,
            Summary = new TokenizationSummary(1, 2, 3, 4, 5, 6, 7, [new DataPlace("f", 3) { IsRow = true }]),
    };
}
