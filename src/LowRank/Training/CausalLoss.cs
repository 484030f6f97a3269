using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>Next-token cross-entropy: position i predicts the label of position i + 1.</summary>
public static class CausalLoss
{
    /// <summary>The label that is not predicted, as transformers marks it.</summary>
    public const int Ignored = -100;

    /// <summary>The summed loss of a batch. The output head runs on the positions that predict a label alone.</summary>
    /// <param name="model">The model, with its adapters attached.</param>
    /// <param name="batch">Tokens, labels and mask.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>A number that can be differentiated; the caller owns it. Zero without a graph when no position predicts.</returns>
    public static Tensor Sum(Decoder model, TensorBatch batch, Generator? dropout)
    {
        model.RequireCausal();
        using var scope = NewDisposeScope();
        if (batch.PredictedLabels == 0) return zeros([], device: model.Device).MoveToOuterDisposeScope();
        Tensor hidden = model.Hidden(batch.Tokens, batch.AttentionMask, null, dropout, batch.Documents);
        Tensor predicting = hidden.view(-1, hidden.shape[^1]).index_select(0, batch.PredictingPositions);
        if (model.OutputHead is { } head && model.Shape.LogitSoftcap is null && HeadLoss.Fits(head))
            return HeadLoss.Sum(head, predicting, batch.Labels).MoveToOuterDisposeScope();
        Tensor logits = model.Logits(predicting, dropout);
        return nn.functional.cross_entropy(logits, batch.Labels, reduction: nn.Reduction.Sum).MoveToOuterDisposeScope();
    }
}
