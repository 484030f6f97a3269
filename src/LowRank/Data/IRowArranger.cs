namespace LowRank.Data;

/// <summary>Decides which rows are computed together.</summary>
/// <remarks>A pure function of what it is given: runs repeat and resume.</remarks>
public interface IRowArranger
{
    /// <summary>The order of an epoch.</summary>
    /// <param name="examples">All training examples.</param>
    /// <param name="drawn">The order drawn for the epoch: numbers of examples.</param>
    int[] Order(IReadOnlyList<IExample> examples, int[] drawn);

    /// <summary>The micro-batches of a step, which together have each of its rows once.</summary>
    /// <param name="rows">The step's rows in their order.</param>
    /// <param name="batchSize">Rows of a micro-batch.</param>
    IReadOnlyList<IReadOnlyList<IExample>> MicroBatches(IReadOnlyList<IExample> rows, int batchSize);

    /// <summary>Batches of an evaluation, the largest first.</summary>
    /// <param name="rows">Rows that predict a label each.</param>
    /// <param name="batchSize">Rows of a batch.</param>
    IReadOnlyList<IReadOnlyList<IExample>> EvaluationBatches(IReadOnlyList<IExample> rows, int batchSize);

    /// <summary>Positions that a batch computes, padding included.</summary>
    long Positions(IReadOnlyList<IExample> rows);
}
