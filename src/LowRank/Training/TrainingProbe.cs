using System.Diagnostics;
using LowRank.Data;

namespace LowRank.Training;

/// <summary>A few steps of a run, to learn what all of it will take. The weights keep their values: the rate is
/// 0.</summary>
internal static class TrainingProbe
{
    private const int MostSteps = 30;

    /// <summary>Runs the micro-batch that takes the most memory, an evaluation of the longest rows, and then
    /// micro-batches in the run's own order until the time is up.</summary>
    /// <param name="objective">The task, on the model with its adapter attached if there is one.</param>
    /// <param name="trained">What is trained.</param>
    /// <param name="options">The run's settings.</param>
    /// <param name="training">The training examples.</param>
    /// <param name="evaluated">Every row that the run evaluates; may be empty.</param>
    /// <param name="validation">How many rows an evaluation while training takes, of those.</param>
    /// <param name="time">How long to measure; one micro-batch is measured in any case.</param>
    public static ProbeResult Run(
        IObjective objective, ITrainedWeights trained, TrainerOptions options, IReadOnlyList<IExample> training,
        IReadOnlyList<IExample> evaluated, IReadOnlyList<IExample> validation, TimeSpan time)
    {
        var batches = new BatchPlan(
            training, options.BatchSize, options.GradientAccumulation, options.Shuffle, options.Seed,
            objective.Arranger);
        IReadOnlyList<IReadOnlyList<IExample>> epoch =
            [.. Enumerable.Range(0, (int)batches.StepsPerEpoch).SelectMany(step => batches.Step(step).MicroBatches)];
        using var runner = new StepRunner(objective, trained, options);
        trained.Rules.Start(options.PlannedSteps(batches.StepsPerEpoch), options.LearningRate);
        // the first step: everything is allocated, nothing is timed
        runner.Run(Step(epoch.MaxBy(objective.Arranger.Positions)!), 0, 1);
        double evaluation = evaluated.Count == 0 ? 0 : EvaluationSeconds(objective, options, evaluated);

        List<double> gradients = [], updates = [];
        long started = Stopwatch.GetTimestamp();
        foreach (IReadOnlyList<IExample> rows in epoch.Where(rows => rows.Any(row => row.PredictedLabels > 0))
            .Take(MostSteps))
        {
            StepOutcome outcome = runner.Run(Step(rows), 0, gradients.Count + 2);
            gradients.Add((outcome.Elapsed - outcome.Update).TotalSeconds / objective.Arranger.Positions(rows));
            updates.Add(outcome.Update.TotalSeconds);
            if (Stopwatch.GetElapsedTime(started) > time) break;
        }
        return new ProbeResult
        {
            Steps = gradients.Count,
            Epoch = TimeSpan.FromSeconds(
                Median(gradients) * epoch.Sum(objective.Arranger.Positions) + Median(updates) * batches.StepsPerEpoch),
            Evaluation = TimeSpan.FromSeconds(evaluation * Computed(objective, options, validation)),
        };
    }

    // Seconds a position, from the batch of the longest rows, which takes the most memory too.
    private static double EvaluationSeconds(
        IObjective objective, TrainerOptions options, IReadOnlyList<IExample> evaluated)
    {
        IExample[] longest =
            [.. evaluated.Where(row => row.PredictedLabels > 0).OrderByDescending(row => row.Length)
            .Take(options.EvaluationBatchSize)];
        if (longest.Length == 0) return 0;
        long started = Stopwatch.GetTimestamp();
        Evaluation.Run(objective, longest, options.EvaluationBatchSize, 0);
        return Stopwatch.GetElapsedTime(started).TotalSeconds / objective.Arranger.Positions(longest);
    }

    private static long Computed(IObjective objective, TrainerOptions options, IReadOnlyList<IExample> rows) =>
        objective.Arranger.EvaluationBatches(
            [.. rows.Where(row => row.PredictedLabels > 0)], options.EvaluationBatchSize)
            .Sum(objective.Arranger.Positions);

    private static StepBatches Step(IReadOnlyList<IExample> rows) =>
        new([rows], rows.Sum(row => (long)row.PredictedLabels));

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}

/// <summary>How long a run will take, from a few of its steps.</summary>
internal sealed record ProbeResult
{
    /// <summary>Micro-batches that were timed.</summary>
    public required int Steps { get; init; }

    /// <summary>The steps of one pass over the data.</summary>
    public required TimeSpan Epoch { get; init; }

    /// <summary>One evaluation of the validation data.</summary>
    public required TimeSpan Evaluation { get; init; }
}
