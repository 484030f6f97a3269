using LowRank.Data.Rows;

namespace LowRank.Data;

/// <summary>Reads files of rows: JSON Lines, JSON, CSV, TSV, Parquet, plain text, folders and patterns of them, compressed or not
/// (<see cref="RowSource"/>).</summary>
public static class SampleReader
{
    /// <summary>All rows of the files in their order.</summary>
    /// <exception cref="InputException">Files that cannot be read, rows that are none: all at once.</exception>
    public static IReadOnlyList<Sample> ReadAll(IReadOnlyList<string> paths) => RowSource.Of(paths).ReadAll(foreign: false);
}
