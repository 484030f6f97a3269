using System.Collections;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using LowRank.Data.Rows;
using LowRank.Tokenizers;

namespace LowRank.Data.Streaming;

/// <summary>Examples created on demand from files of any size, in memory that does not grow with them.</summary>
/// <remarks>An index always gives the same example, so a run resumes bit for bit. Sequential access is cheap. For an
/// earlier or much later index the files are read from the beginning; rows are then counted and drawn but not
/// tokenised. Not thread-safe.</remarks>
internal sealed class StreamedExamples : IReadOnlyList<IExample>, IFingerprinted, IDisposable
{
    private const int Recent = 4096;
    private readonly IReadOnlyList<RowSource> sources;
    private readonly StreamOptions options;
    private readonly RowTokenizer tokenizer;
    private readonly ExampleCutter cutter;
    private readonly StreamMarks marks;
    private readonly TokenizedExample?[] recent = new TokenizedExample?[Recent]; // the latest ones, by number
    private RowShuffle rows;
    private readonly Queue<TokenizedExample> rest = []; // of the last drawn row
    private long made; // the number of the next example

    /// <summary>Prepares the stream; the files are opened at the first example.</summary>
    /// <param name="sources">One source, or as many as weights.</param>
    /// <param name="tokenizer">Makes tokens; null allows rows of tokens only.</param>
    /// <param name="examples">How rows become examples.</param>
    /// <param name="options">How rows are drawn.</param>
    /// <param name="count">The number of examples that the run takes.</param>
    public StreamedExamples(IReadOnlyList<RowSource> sources, ITextTokenizer? tokenizer, ExampleOptions examples,
        StreamOptions options, int count)
    {
        if (sources.Count != (options.Weights?.Count ?? 1))
            throw new ArgumentException("The numbers of weights and sources differ.", nameof(sources));
        (this.sources, this.options, Count) = (sources, options, count);
        this.tokenizer = new RowTokenizer(tokenizer, examples);
        cutter = new ExampleCutter(examples.MaxLength);
        rows = new RowShuffle(sources, options);
        Fingerprint = Of(sources, tokenizer, examples, options);
        marks = new StreamMarks(Fingerprint);
    }

    /// <inheritdoc/>
    public int Count { get; }

    /// <inheritdoc/>
    public string Fingerprint { get; }

    /// <summary>What the user should know of the rows so far, a sentence each.</summary>
    public IReadOnlyList<Words> Notes => [.. rows.Notes, .. tokenizer.Notes, .. cutter.Summary().Warnings];

    /// <inheritdoc/>
    public IExample this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(index);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
            if (index < made && index >= made - Recent && recent[index % Recent] is { } known) return known;
            Reach(index);
            TokenizedExample example = Make();
            recent[index % Recent] = example;
            return example;
        }
    }

    /// <summary>Stores positions in a file, which saves time when the run is resumed.</summary>
    /// <param name="path">The file.</param>
    /// <param name="waits">Waits while the disk is full; null to fail instead.</param>
    public void KeepMarks(string path, StorageWait? waits = null) => marks.KeepIn(path, waits);

    /// <inheritdoc/>
    public IEnumerator<IExample> GetEnumerator() => Enumerable.Range(0, Count).Select(i => this[i]).GetEnumerator();

    /// <inheritdoc/>
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <inheritdoc/>
    public void Dispose() => rows.Dispose();

    private void Reach(int index)
    {
        (long examples, long drawn) = marks.Before(index);
        if (index < made)
        {
            rows.Dispose();
            rows = new RowShuffle(sources, options);
            made = 0;
            rest.Clear();
            Array.Clear(recent);
        }
        if (examples > made)
        {
            while (rows.Drawn < drawn) rows.Next();
            made = examples;
            rest.Clear();
            Array.Clear(recent); // from before the jump
        }
        while (made < index)
        {
            long number = made;
            recent[number % Recent] = Make();
        }
    }

    private TokenizedExample Make()
    {
        while (rest.Count == 0)
        {
            (RowCycle source, UnreadRow row) = rows.Next();
            DataProblems problems = source.Reading.Problems;
            IReadOnlyList<TokenizedExample> wholes = source.Reading.Finish(row) is { } finished
                ? tokenizer.Tokenize(finished, problems) : [];
            problems.ThrowIfAny();
            foreach (TokenizedExample? example in wholes.Select(cutter.Cut))
                if (example is not null) rest.Enqueue(example);
            source.Count(isUsed: rest.Count > 0);
        }
        made++;
        TokenizedExample next = rest.Dequeue();
        if (rest.Count == 0) marks.Note(made, rows.Drawn); // marks are set only between rows
        return next;
    }

    private static string Of(
        IReadOnlyList<RowSource> sources, ITextTokenizer? tokenizer, ExampleOptions examples, StreamOptions options)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"{options.Buffer} {options.BufferBytes} {options.Seed} {string.Join(' ', options.Weights ?? [])}\n");
        text.Append(CultureInfo.InvariantCulture,
            $"{examples.MaxLength} {examples.TrainOn} {examples.VocabularySize} " +
            $"{(tokenizer as Tokenizer)?.Fingerprint}\n");
        foreach (RowSource source in sources)
        {
            RowOptions rows = source.Options;
            text.Append($"{rows.OnBadRow} {rows.Text} {rows.Csv} {source.Split}\n");
            foreach ((string name, string value) in rows.Columns.Concat(
                rows.Template?.Sources ?? new Dictionary<string, string>()))
                text.Append($"{name}\0{value}\n");
            foreach (string file in RowFiles.Expand(source.Paths, new DataProblems()))
                text.Append(FilePrint(file)).Append('\n');
        }
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }

    // For a large file, hashes only its length, its beginning and its end.
    private static string FilePrint(string path)
    {
        const int Looked = 1 << 20;
        if (!File.Exists(path)) return "";
        using FileStream file = File.OpenRead(path);
        byte[] bytes = new byte[Looked];
        int first = file.ReadAtLeast(bytes, Looked, throwOnEndOfStream: false);
        string begins = Convert.ToHexStringLower(SHA256.HashData(bytes.AsSpan(0, first)));
        file.Position = Math.Max(0, file.Length - Looked);
        int last = file.ReadAtLeast(bytes, Looked, throwOnEndOfStream: false);
        return $"{file.Length} {begins} {Convert.ToHexStringLower(SHA256.HashData(bytes.AsSpan(0, last)))}";
    }
}

/// <summary>How to draw rows from files that are too large for a first pass.</summary>
internal sealed record StreamOptions
{
    /// <summary>Number of rows from which the next one is drawn; 1 keeps the order of the data. Default
    /// 10,000.</summary>
    public int Buffer { get; init; } = 10_000;

    /// <summary>Maximum size of these rows in bytes; if rows are long, the buffer holds fewer. Default 256
    /// MB.</summary>
    public long BufferBytes { get; init; } = 1 << 28;

    /// <summary>Seed of the draws.</summary>
    public long Seed { get; init; } = 42;

    /// <summary>The relative share of each source; null for a single source.</summary>
    public IReadOnlyList<double>? Weights { get; init; }
}
