using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Kernels;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>The loss that a task's training minimises.</summary>
public interface IObjective
{
    /// <summary>The model.</summary>
    INetwork Network { get; }

    /// <summary>Decides which rows are computed together. By default rows stay in order, because moving them would
    /// change the result of a task whose loss is not a sum over rows or that draws random numbers.</summary>
    internal IRowArranger Arranger => RowsInOrder.Instance;

    /// <summary>The summed loss of a micro-batch.</summary>
    /// <param name="rows">Examples of the task that predict at least one label.</param>
    /// <param name="dropout">The random generator during training; null in evaluation.</param>
    /// <param name="board">Collects predictions during evaluation; from <see cref="NewBoard"/>, or null.</param>
    /// <returns>A differentiable scalar; the caller owns it.</returns>
    Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null);

    /// <summary>A collector for the task's metrics; null if there is only the loss.</summary>
    IMetricAccumulator? NewBoard();

    /// <summary>A collector for the metrics of a training step; null if there is only the loss.</summary>
    internal IMetricAccumulator? NewStepBoard() => null;

    /// <summary>Hears of a training step, or of a batch of an evaluation, before its micro-batches are computed, for
    /// losses that depend on all of its rows.</summary>
    /// <param name="microBatches">Its rows.</param>
    internal void Begin(IReadOnlyList<IReadOnlyList<IExample>> microBatches)
    {
    }
}

/// <summary>Next-token prediction (<see cref="CausalLoss"/>).</summary>
internal sealed class CausalObjective : IObjective
{
    private readonly Decoder model;
    private readonly RowBatching batching;

    /// <summary>Creates the objective for a model, with its adapters attached.</summary>
    /// <param name="model">The model.</param>
    /// <param name="batching">How rows become batches; null packs them and shares common beginnings in a step.</param>
    public CausalObjective(Decoder model, RowBatching? batching = null)
    {
        (this.model, this.batching) = (model, batching ?? new RowBatching());
        Arranger = new RowArranger(this.batching, IsFree);
    }

    /// <inheritdoc/>
    public INetwork Network => model;

    /// <inheritdoc/>
    public IRowArranger Arranger { get; }

    /// <summary>Why rows are padded although packing was requested; null if they are not.</summary>
    /// <param name="rows">The summary of the rows.</param>
    public string? Obstacle(TokenizationSummary rows) => Obstacle(rows.Longest, rows.Padded, rows.Examples);

    /// <inheritdoc cref="Obstacle(TokenizationSummary)"/>
    public string? Obstacle(IReadOnlyList<TokenizedExample> rows) => rows.Count == 0 ? null
        : Obstacle(rows.Max(row => row.Length), rows.Count(row => !row.IsWhole), rows.Count);

    private string? Obstacle(int longest, long broken, long count)
    {
        if (!batching.Packing) return null;
        if (!IsFree(longest))
            return $"batches with texts longer than {FreeLength()} tokens (the longest has {longest}) are padded, " +
                "not packed: there the model's rotary positions depend on the longest text of a batch.";
        return broken > 0
            ? $"{broken} of {count} rows have padding of their own in attention_mask and are padded, not packed."
            : null;
    }

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null)
    {
        using var scope = NewDisposeScope();
        TokenizedExample[] examples = [.. rows.Cast<TokenizedExample>()];
        bool packs = batching.Packing && examples.Length > 1 && examples.All(row => IsFree(row.Length));
        TokenizedExample[] packed = packs ? [.. examples.Where(row => row.IsWhole && row.PredictedLabels > 0)] : [];
        TokenizedExample[] padded = packs ? [.. examples.Where(row => !row.IsWhole)] : examples;
        Tensor? sum = null;
        if (packed.Length > 0)
            sum = CausalLoss.Sum(
                model, TensorBatch.Create(PackedRows.Create(packed, batching.Shares), model.Device), dropout);
        if (padded.Length > 0 || sum is null)
        {
            Batch batch = Batch.Pad(padded.Length > 0 ? padded : examples);
            Tensor further =
                CausalLoss.Sum(
                    model, TensorBatch.Create(
                        batch.InputIds, batch.Labels, batch.AttentionMask, batch.Length, model.Device), dropout);
            sum = sum is null ? further : sum.Plus(further);
        }
        return sum.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IMetricAccumulator? NewBoard() => null;

    // Dynamic rope and LongRoPE rotate every position according to the longest text, if that exceeds a limit.
    private bool IsFree(int length) => length <= FreeLength();

    private int FreeLength() => model.LongestIndependentLength - (model.Prompt?.Length ?? 0);
}

/// <summary>Next-token cross-entropy: position i predicts the label of position i + 1.</summary>
internal static class CausalLoss
{
    /// <summary>The label that is not predicted, as in transformers.</summary>
    public const int Ignored = -100;

    /// <summary>The summed loss of a batch. The output head computes only positions that predict a label.</summary>
    /// <param name="model">The model, with its adapters attached.</param>
    /// <param name="batch">Tokens, labels and mask.</param>
    /// <param name="dropout">The random generator for dropout during training; null in evaluation.</param>
    /// <returns>A differentiable scalar; the caller owns it. Zero without a graph if no position predicts a
    /// label.</returns>
    public static Tensor Sum(Decoder model, TensorBatch batch, Generator? dropout)
    {
        model.RequireCausal();
        using var scope = NewDisposeScope();
        if (batch.PredictedLabels == 0) return zeros([], device: model.Device).MoveToOuterDisposeScope();
        Tensor hidden = model.Hidden(batch.Tokens, batch.AttentionMask, null, dropout, batch.Packed);
        return Sum(model, Predicting(hidden, batch), batch.Labels, dropout).MoveToOuterDisposeScope();
    }

    /// <summary>The loss of each predicted label, in nats, in the order of the batch's labels.</summary>
    /// <inheritdoc cref="Sum(Decoder, TensorBatch, Generator?)"/>
    /// <returns>[predicted], differentiable; the caller owns it.</returns>
    public static Tensor Each(Decoder model, TensorBatch batch, Generator? dropout)
    {
        model.RequireCausal();
        using var scope = NewDisposeScope();
        Tensor hidden = model.Hidden(batch.Tokens, batch.AttentionMask, null, dropout, batch.Packed);
        return Loss(model, Predicting(hidden, batch), batch.Labels, dropout, each: true).MoveToOuterDisposeScope();
    }

    /// <summary>The summed loss of each row, in nats, without gradients; the rows go through the model
    /// together.</summary>
    /// <param name="model">The model, with its adapters attached.</param>
    /// <param name="rows">At least one.</param>
    public static IReadOnlyList<double> ByRow(Decoder model, IReadOnlyList<TokenizedExample> rows)
    {
        model.RequireCausal();
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        Batch padded = Batch.Pad(rows);
        TensorBatch batch = TensorBatch.Create(
            padded.InputIds, padded.Labels, padded.AttentionMask, padded.Length, model.Device);
        Tensor states = Predicting(model.Hidden(batch.Tokens, batch.AttentionMask), batch);
        var losses = new List<double>();
        long at = 0;
        foreach (int labels in rows.Select(row => row.PredictedLabels))
        {
            losses.Add(labels == 0 ? 0
                : Sum(model, states.narrow(0, at, labels), batch.Labels.narrow(0, at, labels), null).item<float>());
            at += labels;
        }
        return losses;
    }

    private static Tensor Predicting(Tensor hidden, TensorBatch batch) =>
        hidden.view(-1, hidden.shape[^1]).index_select(0, batch.PredictingPositions);

    private static Tensor Sum(Decoder model, Tensor states, Tensor labels, Generator? dropout) =>
        Loss(model, states, labels, dropout, each: false);

    // Takes states, [labels, hidden].
    private static Tensor Loss(Decoder model, Tensor states, Tensor labels, Generator? dropout, bool each)
    {
        double scale = model.Shape.LogitScale;
        if (model.OutputHead is not { Slot.IsEmpty: true } head || model.Shape.LogitSoftcap is not null
            || (scale != 1 && head.Bias is not null))
            return nn.functional.cross_entropy(
                model.Logits(states, dropout), Devices.Send(labels, states.device),
                reduction: each ? nn.Reduction.None : nn.Reduction.Sum);
        Tensor scaled = scale == 1 ? states : states * Number(scale);
        return each ? HeadLoss.Each(scaled, head.Operand, head.Bias, labels, head.Path)
            : HeadLoss.Sum(scaled, head.Operand, head.Bias, labels, head.Path);
    }
}

/// <summary>Collects a task's predictions during an evaluation.</summary>
public interface IMetricAccumulator
{
    /// <summary>The metrics by name; null for a metric that is undefined, such as a correlation of constants.</summary>
    IReadOnlyDictionary<string, double?> Metrics();
}
