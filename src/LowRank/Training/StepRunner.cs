using System.Diagnostics;
using LowRank.Data;
using LowRank.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>Does optimizer steps: gradients over the micro-batches, clipping, the method's rules, AdamW.</summary>
/// <remarks>What belongs to a step lives in a dispose scope of its own: memory does not grow with the number of steps.</remarks>
internal sealed class StepRunner(IObjective objective, ITrainedWeights trained, TrainingOptions options) : IDisposable
{
    public AdamW Optimizer { get; } = new(trained.Weights, options);

    public Generator Dropout { get; } = new Generator().manual_seed(options.Seed);

    private readonly GradientNorm gradients = new(trained.Weights.Select(weight => weight.Value));

    /// <summary>Does a step; where its loss or gradient is not finite, weights, optimizer and rules stay as they are.</summary>
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
            return new StepOutcome(loss, norm, tokens, Stopwatch.GetElapsedTime(started), TimeSpan.Zero) { NonFinite = problem };
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
