using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Kernels;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.Training.Preferences;

/// <summary>The log-probabilities that a model gives to the labels of rows.</summary>
/// <param name="Each">log π of each label, [labels]; those of a row are in its order.</param>
/// <param name="Rows">The row of each label, [labels].</param>
/// <param name="Count">Number of rows.</param>
internal sealed record LabelScores(Tensor Each, Tensor Rows, int Count)
{
    /// <summary>Computes the rows together; beginnings that they share are computed once. There is no dropout, which
    /// would be noise in the difference of two log-probabilities.</summary>
    /// <param name="model">The model, with its adapters attached.</param>
    /// <param name="rows">Rows that each predict a label.</param>
    /// <param name="batching">How rows become a batch.</param>
    public static LabelScores Of(Decoder model, IReadOnlyList<TokenizedExample> rows, RowBatching batching)
    {
        bool packs = batching.Packing && rows.All(row => row.IsWhole && row.Length <= model.LongestIndependentLength
            - (model.Prompt?.Length ?? 0));
        if (packs)
        {
            var packed = PackedRows.Create(rows, batching.Shares);
            Tensor losses = CausalLoss.Each(model, TensorBatch.Create(packed, model.Device), dropout: null);
            return new LabelScores(-losses, Devices.Send([.. packed.LabelRows], model.Device), rows.Count);
        }
        Batch batch = Batch.Pad(rows);
        Tensor each = CausalLoss.Each(model, TensorBatch.Create(
            batch.InputIds, batch.Labels, batch.AttentionMask, batch.Length, model.Device), dropout: null);
        long[] numbers = [.. rows.SelectMany((row, number) => Enumerable.Repeat((long)number, row.PredictedLabels))];
        return new LabelScores(-each, Devices.Send(numbers, model.Device), rows.Count);
    }

    /// <summary>log π of each row's labels together, as numbers.</summary>
    /// <inheritdoc cref="Of"/>
    public static IReadOnlyList<float> Numbers(
        Decoder model, IReadOnlyList<TokenizedExample> rows, RowBatching batching)
    {
        using var scope = NewDisposeScope();
        return Of(model, rows, batching).Sums().cpu().data<float>().ToArray();
    }

    /// <summary>log π of each row's labels together, [rows].</summary>
    public Tensor Sums() => zeros(Count, device: Each.device).index_add(0, Rows, Each, Number(1));
}
