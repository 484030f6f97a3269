using System.Diagnostics;
using LowRank.Data;

namespace LowRank.Training;

/// <summary>Runs a few steps to estimate the cost of a whole run. The weights keep their values, because the learning
/// rate is 0.</summary>
internal static class TrainingProbe
{
    private const int MostSteps = 30;

    /// <summary>Runs the micro-batch that needs the most memory, an evaluation of the longest rows, and then
    /// micro-batches in the run's own order until the time is up.</summary>
    /// <param name="objective">The task, on the model with its adapter attached if there is one.</param>
    /// <param name="trained">The trained weights.</param>
    /// <param name="options">The run's settings.</param>
    /// <param name="training">The training examples.</param>
    /// <param name="evaluated">All rows that the run evaluates; may be empty.</param>
    /// <param name="validation">How many of those rows an evaluation during training uses.</param>
    /// <param name="time">How long to measure; at least one micro-batch is measured.</param>
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
        // an untimed first step that allocates everything
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

    // Seconds per position, from the batch of the longest rows, which also needs the most memory.
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

/// <summary>The estimated duration of a run, from a few of its steps.</summary>
internal sealed record ProbeResult
{
    /// <summary>Number of timed micro-batches.</summary>
    public required int Steps { get; init; }

    /// <summary>The duration of the steps of one pass over the data.</summary>
    public required TimeSpan Epoch { get; init; }

    /// <summary>The duration of one evaluation of the validation data.</summary>
    public required TimeSpan Evaluation { get; init; }
}
