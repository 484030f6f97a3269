using LowRank.Data.Rows;

namespace LowRank.Data.Streaming;

/// <summary>The rows of a source, again and again.</summary>
internal sealed class RowCycle(RowSource source) : IDisposable
{
    private IEnumerator<UnreadRow>? rows;
    private long rowsOfPass, wasted;

    /// <summary>The pass under way.</summary>
    public RowReading Reading { get; private set; } = source.Reading(foreign: true);

    /// <summary>Whole passes so far.</summary>
    public long Passes { get; private set; }

    /// <summary>The next row of the pass, in memory of its own; null at its end, after which the next pass begins.</summary>
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

    /// <summary>Notes whether a drawn row became an example.</summary>
    /// <exception cref="InputException">More rows than two passes have did not.</exception>
    public void Count(bool isUsed)
    {
        wasted = isUsed ? 0 : wasted + 1;
        if (Passes > 0 && wasted > 2 * rowsOfPass)
            throw new InputException($"No row of {string.Join(", ", source.Paths)} is left to use. Raise max_length, or shorten the rows.", Reading.Notes);
    }

    public void Dispose() => rows?.Dispose();
}
