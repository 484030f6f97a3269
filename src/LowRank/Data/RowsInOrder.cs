namespace LowRank.Data;

/// <summary>Rows as they come, padded to the longest of their batch: for tasks whose rows are not to be moved.</summary>
public sealed class RowsInOrder : IRowArranger
{
    /// <summary>The only one.</summary>
    public static RowsInOrder Instance { get; } = new();

    /// <inheritdoc/>
    public int[] Order(IReadOnlyList<IExample> examples, int[] drawn) => drawn;

    /// <inheritdoc/>
    public IReadOnlyList<IReadOnlyList<IExample>> MicroBatches(IReadOnlyList<IExample> rows, int batchSize) => [.. rows.Chunk(batchSize)];

    // The longest first: what they leave free holds all that follows. The other way round every batch is a little too large
    // for what the last one left, and the process grows by a quarter.
    /// <inheritdoc/>
    public IReadOnlyList<IReadOnlyList<IExample>> EvaluationBatches(IReadOnlyList<IExample> rows, int batchSize) =>
        [.. rows.OrderByDescending(row => row.Length).Chunk(batchSize)];

    /// <inheritdoc/>
    public long Positions(IReadOnlyList<IExample> rows) => (long)rows.Count * rows.Max(row => row.Length);
}
