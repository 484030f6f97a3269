namespace LowRank.Training;

/// <summary>The numbers of a checkpoint's <c>state.json</c>.</summary>
internal sealed record CheckpointCounters
{
    /// <summary>Steps taken, skipped ones included.</summary>
    public required long Step { get; init; }

    /// <summary>Steps of the whole run.</summary>
    public required long TotalSteps { get; init; }

    /// <summary>Steps that the optimizer has taken.</summary>
    public required long OptimizerSteps { get; init; }

    /// <summary>Tokens trained on.</summary>
    public required long Tokens { get; init; }

    /// <summary>Seconds spent in steps.</summary>
    public required double Seconds { get; init; }

    /// <summary>Seconds the run has gone on, evaluations and checkpoints included.</summary>
    public double RunSeconds { get; init; }

    /// <summary>Steps that changed nothing, because their loss or gradient was not finite.</summary>
    public long Skipped { get; init; }

    /// <summary>How many of them came last, in a row.</summary>
    public long SkippedInRow { get; init; }

    /// <summary>The step of the last evaluation; null when there was none.</summary>
    public long? EvaluatedStep { get; init; }

    /// <summary>Evaluations in a row without a better held-out loss.</summary>
    public int Waited { get; init; }

    /// <summary>The held-out loss that they had to better; null without an evaluation.</summary>
    public double? LossToBeat { get; init; }

    /// <summary>Loss of the last step that was not skipped; null when there was none.</summary>
    public double? LastLoss { get; init; }

    /// <summary>The lowest held-out loss; null without an evaluation.</summary>
    public double? BestLoss { get; init; }

    /// <summary>The step it was measured after.</summary>
    public long? BestStep { get; init; }

    /// <summary>The data, and the order its rows are taken in.</summary>
    public required DataOrder Data { get; init; }

    /// <summary>The folder of the base.</summary>
    public string? BaseFolder { get; init; }

    /// <summary>The fingerprint of the base's weights; null where it was random, and in checkpoints of older versions.</summary>
    public string? BaseSha { get; init; }

    /// <summary>Whole passes over the data, for people who read the file: it follows from the step.</summary>
    public long Epoch { get; init; }

    /// <summary>Steps taken of the pass that was under way.</summary>
    public long StepOfEpoch { get; init; }

    /// <summary>The learning rate's course.</summary>
    public required LearningRateSchedule Schedule { get; init; }
}
