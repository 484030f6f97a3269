using System.Text.Json.Nodes;
using LowRank.Data.Forms.Foreign;

namespace LowRank.Data.Rows;

/// <summary>Rows that can be read again and again, each time from their beginning, in memory that does not grow with them.</summary>
/// <remarks>Files are read by their names: <c>.jsonl</c>, <c>.ndjson</c>, <c>.json</c>, <c>.csv</c>, <c>.tsv</c>, <c>.parquet</c>,
/// <c>.txt</c>, and any other name as JSON Lines; compressed by gzip, zstd or bzip2 too, which the first bytes tell.</remarks>
public sealed class RowSource
{
    private RowSource(IReadOnlyList<string> paths, RowOptions options, RowSplit? split) => (Paths, Options, Split) = (paths, options, split);

    /// <summary>Files, folders and patterns, as they were given.</summary>
    public IReadOnlyList<string> Paths { get; }

    /// <summary>How they are read.</summary>
    public RowOptions Options { get; }

    /// <summary>Which of the rows are taken; null for all.</summary>
    public RowSplit? Split { get; }

    /// <summary>Rows of files.</summary>
    /// <param name="paths">At least one: files; folders, with those below; patterns with *, ** and ?.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="split">Which of them; null for all.</param>
    public static RowSource Of(IReadOnlyList<string> paths, RowOptions? options = null, RowSplit? split = null)
    {
        if (paths.Count == 0) throw new ArgumentException("There is no file to read.", nameof(paths));
        return new RowSource(paths, options ?? new RowOptions(), split);
    }

    /// <summary>The same source, split.</summary>
    public RowSource With(RowSplit? split) => new(Paths, Options, split);

    /// <summary>Begins to read.</summary>
    /// <param name="foreign">Whether forms that other programs' data has are recognised.</param>
    internal RowReading Reading(bool foreign) => new(this, foreign);

    /// <summary>All rows, in their order.</summary>
    /// <param name="foreign">Whether forms that other programs' data has are recognised.</param>
    /// <exception cref="InputException">Files or rows that cannot be read: all at once.</exception>
    internal IReadOnlyList<Sample> ReadAll(bool foreign)
    {
        RowReading reading = Reading(foreign);
        List<Sample> samples = [.. reading.Rows()];
        reading.Problems.ThrowIfAny();
        return samples;
    }
}
