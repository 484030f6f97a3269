using LowRank.Data.Rows;

namespace LowRank.Data.Streaming;

/// <summary>An endless sequence of rows, each drawn from a bounded buffer.</summary>
/// <remarks>Depends only on the files, the options and the seed. With one source, a pass is completed before the next
/// begins, with new draws. With several, each next row of the buffer comes from a source drawn by weight, and a source
/// that ends starts again.</remarks>
internal sealed class RowShuffle : IDisposable
{
    private readonly RowCycle[] sources;
    private readonly StreamOptions options;
    private readonly double[]? shares; // cumulative
    private readonly StableRandom choice;
    private readonly List<(RowCycle Source, UnreadRow Row)> buffer = [];
    private StableRandom draws;
    private long bytes;
    private bool passEnds; // the only source has ended, and its buffered rows come first

    public RowShuffle(IReadOnlyList<RowSource> sources, StreamOptions options)
    {
        this.options = options;
        this.sources = [.. sources.Select(source => new RowCycle(source))];
        if (options.Weights is { } weights)
        {
            double sum = weights.Sum(), before = 0;
            shares = [.. weights.Select(weight => before += weight / sum)];
        }
        choice = new StableRandom(unchecked((ulong)options.Seed * 0xD1342543DE82EF95 + 0x5851F42D4C957F2D));
        draws = Draws(0);
    }

    /// <summary>Number of rows drawn so far.</summary>
    public long Drawn { get; private set; }

    /// <summary>Notes about the rows so far, one sentence each.</summary>
    public IReadOnlyList<Words> Notes => [.. sources.SelectMany(source => source.Reading.Notes)
        .DistinctBy(note => note.ToString())];

    /// <summary>Draws a row.</summary>
    /// <exception cref="InputException">A file cannot be read.</exception>
    public (RowCycle Source, UnreadRow Row) Next()
    {
        Fill();
        int place = draws.Below(buffer.Count);
        (RowCycle Source, UnreadRow Row) drawn = buffer[place];
        buffer[place] = buffer[^1];
        buffer.RemoveAt(buffer.Count - 1);
        bytes -= drawn.Row.Bytes;
        Drawn++;
        return drawn;
    }

    public void Dispose()
    {
        foreach (RowCycle source in sources) source.Dispose();
    }

    private void Fill()
    {
        if (passEnds && buffer.Count > 0) return;
        if (passEnds)
        {
            passEnds = false;
            draws = Draws(sources[0].Passes);
        }
        while (buffer.Count == 0 || (buffer.Count < options.Buffer && bytes < options.BufferBytes))
        {
            RowCycle source = shares is null ? sources[0] : Chosen();
            if (source.Next() is { } row)
            {
                buffer.Add((source, row));
                bytes += row.Bytes;
                continue;
            }
            if (shares is not null) continue;
            passEnds = buffer.Count > 0;
            if (passEnds) return;
            draws = Draws(source.Passes);
        }
    }

    private RowCycle Chosen()
    {
        double drawn = choice.NextDouble();
        int index = Array.FindIndex(shares!, share => drawn < share);
        return sources[index < 0 ? ^1 : index];
    }

    private StableRandom Draws(long pass) => new(unchecked((ulong)options.Seed * 0xD1342543DE82EF95 + (ulong)pass));
}

/// <summary>The rows of a source, repeated endlessly.</summary>
internal sealed class RowCycle(RowSource source) : IDisposable
{
    private IEnumerator<UnreadRow>? rows;
    private long rowsOfPass, wasted;

    /// <summary>The current pass.</summary>
    public RowReading Reading { get; private set; } = source.Reading(foreign: true);

    /// <summary>Number of completed passes.</summary>
    public long Passes { get; private set; }

    /// <summary>A copy of the next row of the pass; null at its end, after which the next pass begins.</summary>
    /// <exception cref="InputException">A file cannot be read.</exception>
    public UnreadRow? Next()
    {
        rows ??= Reading.Unread().GetEnumerator();
        bool any = rows.MoveNext();
        Reading.Problems.ThrowIfAny();
        if (any)
        {
            if (Passes == 0) rowsOfPass++;
            return rows.Current.Keep();
        }
        rows.Dispose();
        rows = null;
        Passes++;
        return null;
    }

    /// <summary>Records whether a drawn row became an example.</summary>
    /// <exception cref="InputException">More rows than in two passes did not become examples.</exception>
    public void Count(bool isUsed)
    {
        wasted = isUsed ? 0 : wasted + 1;
        if (Passes > 0 && wasted > 2 * rowsOfPass)
            throw new InputException(
                $"No row of {string.Join(", ", source.Paths)} is left to use. Raise " +
                $"{KnownSettings.MaxLength}, or shorten the rows.",
                [.. Reading.Notes.Select(note => new Problem(note))]);
    }

    public void Dispose() => rows?.Dispose();
}
