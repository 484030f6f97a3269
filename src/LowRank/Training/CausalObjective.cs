using LowRank.Data;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>Next-token prediction (<see cref="CausalLoss"/>).</summary>
/// <param name="model">The model, with its adapters attached.</param>
public sealed class CausalObjective(Decoder model) : IObjective
{
    /// <inheritdoc/>
    public INetwork Network => model;

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IScoreBoard? board = null)
    {
        using var scope = NewDisposeScope();
        Batch batch = Batch.Pad([.. rows.Cast<TokenizedExample>()]);
        TensorBatch onDevice = TensorBatch.Create(batch.InputIds, batch.Labels, batch.AttentionMask, batch.Length, model.Device);
        return CausalLoss.Sum(model, onDevice, dropout).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IScoreBoard? NewBoard() => null;
}
