using LowRank.Data;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>What a task's training minimises.</summary>
public interface IObjective
{
    /// <summary>The model.</summary>
    INetwork Network { get; }

    /// <summary>Decides which rows are computed together. By default they stay as they come: a task whose loss is not a sum over
    /// rows, or that draws what it asks, gives another result when they are moved.</summary>
    IRowArranger Arranger => RowsInOrder.Instance;

    /// <summary>The summed loss of a micro-batch.</summary>
    /// <param name="rows">Examples of the task, which predict a label at least.</param>
    /// <param name="dropout">The generator of all randomness while training; null in evaluation.</param>
    /// <param name="board">Collects predictions while evaluating; of <see cref="NewBoard"/>, or null.</param>
    /// <returns>A number that can be differentiated; the caller owns it.</returns>
    Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IScoreBoard? board = null);

    /// <summary>A board for the task's metrics; null where the loss is all.</summary>
    IScoreBoard? NewBoard();
}
