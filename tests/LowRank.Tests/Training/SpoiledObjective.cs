using LowRank.Data;
using LowRank.Models;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Training;

/// <summary>Another objective's loss, with gradients of some weights that are not finite: a root has an infinite slope
/// at zero.</summary>
internal sealed class SpoiledObjective(IObjective inner, params Tensor[] spoiled) : IObjective
{
    public INetwork Network => inner.Network;

    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null)
    {
        using var scope = NewDisposeScope();
        Tensor sum = inner.Sum(rows, dropout, board);
        foreach (Tensor weight in spoiled) sum = sum.Plus((weight * Number(0)).sum().sqrt());
        return sum.MoveToOuterDisposeScope();
    }

    public IMetricAccumulator? NewBoard() => inner.NewBoard();
}
