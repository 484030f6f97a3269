using System.Diagnostics;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Kernels;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>Does optimizer steps: gradients over the micro-batches, clipping, the method's rules, AdamW.</summary>
/// <remarks>What belongs to a step lives in a dispose scope of its own: memory does not grow with the number of
/// steps.</remarks>
internal sealed class StepRunner(IObjective objective, ITrainedWeights trained, TrainerOptions options) : IDisposable
{
    public AdamW Optimizer { get; } = new(trained.Weights, options);

    public Generator Dropout { get; } = new Generator().manual_seed(options.Seed);

    private readonly GradientNorm gradients = new(trained.Weights.Select(weight => weight.Value));

    /// <summary>Does a step; where its loss or gradient is not finite, weights, optimizer and rules stay as they
    /// are.</summary>
    /// <param name="step">Its rows.</param>
    /// <param name="learningRate">Its rate.</param>
    /// <param name="number">Its number, counted from 1.</param>
    public StepOutcome Run(StepBatches step, double learningRate, long number)
    {
        long started = Stopwatch.GetTimestamp();
        using var scope = NewDisposeScope();
        objective.Network.GradientCheckpointing = options.GradientCheckpointing;
        double loss = 0;
        long tokens = 0;
        foreach ((string _, Tensor weight) in trained.Weights) weight.grad = null;
        foreach (IReadOnlyList<IExample> rows in step.MicroBatches)
        {
            if (rows.All(row => row.PredictedLabels == 0)) continue;
            using var microScope = NewDisposeScope();
            Tensor sum = objective.Sum(rows, Dropout);
            BackwardErrors.Run(() => (sum / step.PredictedLabels).backward());
            loss += sum.item<float>();
            tokens += rows.Sum(row => (long)row.Tokens);
        }
        loss /= Math.Max(1, step.PredictedLabels);
        if (trained.Rules.Penalty() is { } penalty) BackwardErrors.Run(() => penalty.backward());
        double norm = gradients.Measure();
        double scale = GradientClipping.Factor(norm, options.MaxGradientNorm);
        if (NonFinite.Of(loss, norm, scale, trained.Weights) is { } problem)
            return new StepOutcome(
                loss, norm, tokens, Stopwatch.GetElapsedTime(started), TimeSpan.Zero) { NonFinite = problem };
        long update = Stopwatch.GetTimestamp();
        if (trained.Rules.ReadsGradients && scale != 1)
        {
            gradients.Scale(scale);
            scale = 1;
        }
        trained.Rules.BeforeUpdate();
        Optimizer.Step(learningRate, trained.Rules.RateFactor, scale);
        trained.Rules.AfterUpdate(number);
        return new StepOutcome(loss, norm, tokens, Stopwatch.GetElapsedTime(started), Stopwatch.GetElapsedTime(update));
    }

    public void Dispose()
    {
        Optimizer.Dispose();
        Dropout.Dispose();
    }
}

/// <summary>One optimizer step.</summary>
/// <param name="Step">Its number, from 1.</param>
/// <param name="Loss">Mean loss a predicted token before the step, in nats; may be no number where the step was
/// skipped.</param>
/// <param name="GradientNorm">Norm of all gradients together, before clipping.</param>
/// <param name="LearningRate">The rate the step was taken with.</param>
/// <param name="Tokens">Tokens of the step's batches, padding left out.</param>
/// <param name="TokensPerSecond">Over the last steps.</param>
/// <param name="Elapsed">Time spent in steps since the start of the run, that before a resume included.</param>
public sealed record TrainingStep(
    long Step, double Loss, double GradientNorm, double LearningRate, long Tokens, double TokensPerSecond,
        TimeSpan Elapsed)
{
    /// <summary>What was no finite number, so that the step changed nothing; null for a step that was taken.</summary>
    public string? Skipped { get; init; }

    /// <summary>Steps of the run so far that changed nothing, this one included.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>What the process held in memory after the step, in bytes (its resident size); null where it was not
    /// measured.</summary>
    public long? MemoryBytes { get; init; }
}

/// <summary>What an optimizer step did.</summary>
/// <param name="Loss">Mean loss over the step's labels.</param>
/// <param name="GradientNorm">Norm of the gradients before they were clipped.</param>
/// <param name="Tokens">Tokens computed, padding left out.</param>
/// <param name="Elapsed">Time of the whole step.</param>
/// <param name="Update">What of it the optimizer and the method's rules took.</param>
internal sealed record StepOutcome(double Loss, double GradientNorm, long Tokens, TimeSpan Elapsed, TimeSpan Update)
{
    /// <summary>What was no finite number, so that weights, optimizer and rules were left as they were; null for a step
    /// that was taken.</summary>
    public string? NonFinite { get; init; }
}

/// <summary>A batch on the device, with the positions that predict a label picked out.</summary>
/// <param name="Tokens">[batch, sequence]</param>
/// <param name="AttentionMask">[batch, sequence]; null when nothing is padded.</param>
/// <param name="PredictingPositions">Indices into the flattened batch of positions that predict, [predicted].</param>
/// <param name="Labels">What they predict, [predicted].</param>
public sealed record TensorBatch(Tensor Tokens, Tensor? AttentionMask, Tensor PredictingPositions, Tensor Labels)
{
    /// <summary>How texts lie one after the other in a single row; null when each row is a text.</summary>
    public PackedSequences? Documents { get; init; }

    /// <summary>The number of labels that are predicted.</summary>
    public long PredictedLabels => Labels.shape[0];

    /// <summary>Moves packed rows to a device.</summary>
    public static TensorBatch Create(PackedRows rows, Device device)
    {
        Tensor Whole(IReadOnlyList<long> values) => tensor([.. values], dtype: ScalarType.Int64, device: device);
        return new TensorBatch(
            Whole(rows.InputIds).unsqueeze(0), null, Whole(rows.PredictingPositions), Whole(rows.Labels))
        {
            Documents = new PackedSequences(Whole(rows.Positions).unsqueeze(0), rows.Segments, rows.Longest),
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
