using LowRank.Data.Packing;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>A batch on the device, with the positions that predict a label picked out.</summary>
/// <param name="Tokens">[batch, sequence]</param>
/// <param name="AttentionMask">[batch, sequence]; null when nothing is padded.</param>
/// <param name="PredictingPositions">Indices into the flattened batch of positions that predict, [predicted].</param>
/// <param name="Labels">What they predict, [predicted].</param>
public sealed record TensorBatch(Tensor Tokens, Tensor? AttentionMask, Tensor PredictingPositions, Tensor Labels)
{
    /// <summary>How texts lie one after the other in a single row; null when each row is a text.</summary>
    public PackedDocuments? Documents { get; init; }

    /// <summary>The number of labels that are predicted.</summary>
    public long PredictedLabels => Labels.shape[0];

    /// <summary>Moves packed rows to a device.</summary>
    public static TensorBatch Create(PackedRows rows, Device device)
    {
        Tensor Whole(IReadOnlyList<long> values) => tensor([.. values], dtype: ScalarType.Int64, device: device);
        return new TensorBatch(Whole(rows.InputIds).unsqueeze(0), null, Whole(rows.PredictingPositions), Whole(rows.Labels))
        {
            Documents = new PackedDocuments(Whole(rows.Positions).unsqueeze(0), rows.Segments, rows.Longest),
        };
    }

    /// <summary>Moves a batch to a device.</summary>
    /// <param name="inputIds">Row after row, each of <paramref name="length"/>.</param>
    /// <param name="labels">As <paramref name="inputIds"/>; -100 is not predicted.</param>
    /// <param name="attentionMask">As <paramref name="inputIds"/>; null when nothing is padded.</param>
    /// <param name="length">Tokens of a row, padding included.</param>
    /// <param name="device">Where to.</param>
    public static TensorBatch Create(long[] inputIds, long[] labels, long[]? attentionMask, int length, Device device)
    {
        var positions = new List<long>(labels.Length);
        var predicted = new List<long>(labels.Length);
        for (int i = 0; i < labels.Length; i++)
        {
            if (i % length == 0 || labels[i] == CausalLoss.Ignored) continue; // nothing predicts a row's first token
            positions.Add(i - 1);
            predicted.Add(labels[i]);
        }
        Tensor Rows(long[] values) => tensor(values, dtype: ScalarType.Int64, device: device).view(-1, length);
        return new TensorBatch(Rows(inputIds), attentionMask is null ? null : Rows(attentionMask),
            tensor(positions.ToArray(), dtype: ScalarType.Int64, device: device),
            tensor(predicted.ToArray(), dtype: ScalarType.Int64, device: device));
    }
}
