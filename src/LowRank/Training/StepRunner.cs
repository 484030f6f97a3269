using System.Diagnostics;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Kernels;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>Runs optimizer steps: gradients over the micro-batches, clipping, the method's rules, AdamW.</summary>
/// <remarks>Each step has its own dispose scope, so memory does not grow with the number of steps. On a device a step
/// can be queued and its outcome read later, together with others'.</remarks>
internal sealed class StepRunner(IObjective objective, ITrainedWeights trained, TrainerOptions options) : IDisposable
{
    public AdamW Optimizer { get; } = new(trained.Weights, options);

    public Generator Dropout { get; } = new Generator().manual_seed(options.Seed);

    private readonly List<QueuedStep> queued = [];
    private long queuedAt; // the time of the first of them

    private readonly GradientNorm gradients = new(trained.Weights.Select(weight => weight.Value));

    /// <summary>Whether steps can be queued on a device: a method that looks at gradients between steps must see
    /// them.</summary>
    public bool Queues => Optimizer.Queued is not null && !trained.Rules.ReadsGradients && !measures;

    // Metrics of a step are read when it ends.
    private readonly bool measures = objective.NewStepBoard() is not null;

    /// <summary>Runs a step; if its loss or gradient is not finite, weights, optimizer and rules are not
    /// changed.</summary>
    /// <param name="step">The rows of the step.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="number">The number of the step, counted from 1.</param>
    public StepOutcome Run(StepBatches step, double learningRate, long number)
    {
        if (Queues)
        {
            Queue(step, learningRate);
            return Read()[^1];
        }
        long started = Stopwatch.GetTimestamp();
        using var scope = NewDisposeScope();
        double loss = 0;
        IMetricAccumulator? board = objective.NewStepBoard();
        long tokens = Backward(step, sum => loss += sum.item<float>(), board);
        loss /= Math.Max(1, step.PredictedLabels);
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
        return new StepOutcome(loss, norm, tokens, Stopwatch.GetElapsedTime(started), Stopwatch.GetElapsedTime(update))
        {
            Metrics = board?.Metrics() ?? StepOutcome.NoMetrics,
        };
    }

    /// <summary>Queues a step on the device; nobody waits for it. If its loss or gradient is not finite, weights and
    /// optimizer are not changed.</summary>
    /// <param name="step">The rows of the step.</param>
    /// <param name="learningRate">The learning rate.</param>
    public void Queue(StepBatches step, double learningRate)
    {
        if (queued.Count == 0) queuedAt = Stopwatch.GetTimestamp();
        using var scope = NewDisposeScope();
        Tensor loss = zeros([], ScalarType.Float32, objective.Network.Device);
        long tokens = Backward(step, sum => loss.add_(sum.detach(), Number(1)));
        loss.div_(Number(Math.Max(1, step.PredictedLabels)));
        Tensor norm = Optimizer.Queued!.Step(loss, learningRate, trained.Rules.RateFactor);
        queued.Add(new QueuedStep(stack([loss, norm]).DetachFromDisposeScope(), tokens));
    }

    /// <summary>Number of queued steps that have not been read.</summary>
    public int QueuedSteps => queued.Count;

    /// <summary>Reads the outcomes of the queued steps, all at once. Waits for the device.</summary>
    public IReadOnlyList<StepOutcome> Read()
    {
        if (queued.Count == 0) return [];
        using var scope = NewDisposeScope();
        float[] values = stack(queued.Select(step => step.LossAndNorm)).cpu().data<float>().ToArray();
        TimeSpan each = Stopwatch.GetElapsedTime(queuedAt) / queued.Count;
        var outcomes = new StepOutcome[queued.Count];
        for (int i = 0; i < outcomes.Length; i++)
        {
            double loss = values[2 * i], norm = values[2 * i + 1];
            bool isLast = i == outcomes.Length - 1; // whose gradients still exist
            outcomes[i] = new StepOutcome(loss, norm, queued[i].Tokens, each, TimeSpan.Zero)
            {
                NonFinite = NonFinite.Of(loss, norm, GradientClipping.Factor(norm, options.MaxGradientNorm),
                    isLast ? trained.Weights : null),
            };
        }
        Forget();
        return outcomes;
    }

    public void Dispose()
    {
        Forget();
        Optimizer.Dispose();
        Dropout.Dispose();
    }

    private void Forget()
    {
        foreach (QueuedStep step in queued) step.LossAndNorm.Dispose();
        queued.Clear();
    }

    // The number of tokens that were computed; the gradients are those of the mean loss and of the method's penalty.
    private long Backward(StepBatches step, Action<Tensor> add, IMetricAccumulator? board = null)
    {
        objective.Network.GradientCheckpointing = options.GradientCheckpointing;
        long tokens = 0;
        objective.Begin(step.MicroBatches);
        foreach ((string _, Tensor weight) in trained.Weights) weight.grad = null;
        foreach (IReadOnlyList<IExample> rows in step.MicroBatches)
        {
            if (rows.All(row => row.PredictedLabels == 0)) continue;
            using var microScope = NewDisposeScope();
            Tensor sum = objective.Sum(rows, Dropout, board);
            BackwardErrors.Run(() => (sum / Number(step.PredictedLabels)).backward());
            add(sum);
            tokens += rows.Sum(row => (long)row.Tokens);
        }
        if (trained.Rules.Penalty() is { } penalty) BackwardErrors.Run(() => penalty.backward());
        return tokens;
    }

    // [2]: the mean loss and the norm of the gradients
    private sealed record QueuedStep(Tensor LossAndNorm, long Tokens);
}

/// <summary>One optimizer step.</summary>
/// <param name="Step">The number of the step, from 1.</param>
/// <param name="Loss">Mean loss per predicted token before the step, in nats; may be NaN or infinite if the step was
/// skipped.</param>
/// <param name="GradientNorm">Norm of all gradients, before clipping.</param>
/// <param name="LearningRate">The learning rate of the step.</param>
/// <param name="Tokens">Number of tokens in the step's batches, without padding.</param>
/// <param name="TokensPerSecond">Average speed over the last steps.</param>
/// <param name="Elapsed">Time spent in steps since the start of the run, including the time before a resume.</param>
public sealed record TrainingStep(
    long Step, double Loss, double GradientNorm, double LearningRate, long Tokens, double TokensPerSecond,
        TimeSpan Elapsed)
{
    /// <summary>What was not finite, if the step was skipped; null for a step that was taken.</summary>
    public string? Skipped { get; init; }

    /// <summary>Number of skipped steps of the run so far, including this one.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>The process's resident memory after the step, in bytes; null if it was not measured.</summary>
    public long? MemoryBytes { get; init; }

    /// <summary>The metrics of the step's objective by name, such as <c>rewards/margins</c>; empty for most.</summary>
    public IReadOnlyDictionary<string, double?> Metrics { get; init; } = new Dictionary<string, double?>();
}

/// <summary>The result of an optimizer step.</summary>
/// <param name="Loss">Mean loss over the step's labels.</param>
/// <param name="GradientNorm">Gradient norm before clipping.</param>
/// <param name="Tokens">Number of computed tokens, without padding.</param>
/// <param name="Elapsed">Duration of the whole step.</param>
/// <param name="Update">The part of it spent in the optimizer and the method's rules.</param>
internal sealed record StepOutcome(double Loss, double GradientNorm, long Tokens, TimeSpan Elapsed, TimeSpan Update)
{
    /// <summary>What was not finite, if weights, optimizer and rules were therefore left unchanged; null for a step
    /// that was taken.</summary>
    public string? NonFinite { get; init; }

    /// <summary>The metrics of the objective by name; empty for most.</summary>
    public IReadOnlyDictionary<string, double?> Metrics { get; init; } = NoMetrics;

    public static IReadOnlyDictionary<string, double?> NoMetrics { get; } = new Dictionary<string, double?>();
}

/// <summary>A batch on the device, with the positions that predict a label.</summary>
/// <param name="Tokens">[batch, sequence]</param>
/// <param name="AttentionMask">[batch, sequence]; null without padding.</param>
/// <param name="PredictingPositions">Indices into the flattened batch of positions that predict, [predicted].</param>
/// <param name="Labels">The predicted labels, [predicted]; on the processor, where they are checked without waiting for
/// the device.</param>
internal sealed record TensorBatch(Tensor Tokens, Tensor? AttentionMask, Tensor PredictingPositions, Tensor Labels)
{
    /// <summary>The layout of texts packed into a single row; null if each row is a text.</summary>
    public PackedSequences? Packed { get; init; }

    /// <summary>The number of predicted labels.</summary>
    public long PredictedLabels => Labels.shape[0];

    /// <summary>Moves packed rows to a device.</summary>
    public static TensorBatch Create(PackedRows rows, Device device)
    {
        Tensor Whole(IReadOnlyList<long> values) => Devices.Send([.. values], device);
        return new TensorBatch(Whole(rows.InputIds).unsqueeze(0), null, Whole(rows.PredictingPositions),
            tensor([.. rows.Labels], dtype: ScalarType.Int64))
        {
            Packed = new PackedSequences(Whole(rows.Positions).unsqueeze(0), rows.Segments, rows.Longest),
        };
    }

    /// <summary>Moves a batch to a device.</summary>
    /// <param name="inputIds">The ids row by row, <paramref name="length"/> per row.</param>
    /// <param name="labels">The labels, like <paramref name="inputIds"/>; -100 is not predicted.</param>
    /// <param name="attentionMask">The mask, like <paramref name="inputIds"/>; null without padding.</param>
    /// <param name="length">Tokens per row, including padding.</param>
    /// <param name="device">The target device.</param>
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
        Tensor Rows(long[] values) => Devices.Send(values, device).view(-1, length);
        return new TensorBatch(Rows(inputIds), attentionMask is null ? null : Rows(attentionMask),
            Devices.Send([.. positions], device),
            tensor(predicted.ToArray(), dtype: ScalarType.Int64));
    }
}
