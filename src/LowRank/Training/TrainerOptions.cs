namespace LowRank.Training;

/// <summary>The settings of a <see cref="Trainer"/>.</summary>
internal sealed record TrainerOptions
{
    /// <summary>Number of passes over the training data; used if <see cref="Steps"/> is null.</summary>
    public double Epochs { get; init; } = 3;

    /// <summary>Number of optimizer steps; null derives it from <see cref="Epochs"/>.</summary>
    public long? Steps { get; init; }

    /// <summary>Examples per micro-batch.</summary>
    public int BatchSize { get; init; } = 8;

    /// <summary>Micro-batches per optimizer step; the step's loss is the sum over all of them divided by the number of
    /// their labels.</summary>
    public int GradientAccumulation { get; init; } = 1;

    /// <summary>Peak learning rate.</summary>
    public double LearningRate { get; init; } = 2e-4;

    /// <summary>The learning rate schedule.</summary>
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Linear;

    /// <summary>Number of warm-up steps, over which the rate rises from zero.</summary>
    public long WarmupSteps { get; init; }

    /// <summary>Warm-up as a share of all steps, rounded up; used if above zero.</summary>
    public double WarmupRatio { get; init; }

    /// <summary>Decoupled weight decay (arXiv 1711.05101), applied to every trained weight.</summary>
    public double WeightDecay { get; init; }

    /// <summary>Whether to recompute blocks in the backward pass instead of storing them (<see
    /// cref="Models.INetwork.GradientCheckpointing"/>).</summary>
    public bool GradientCheckpointing { get; init; }

    /// <summary>AdamW's decay of the mean gradient.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>AdamW's decay of the mean squared gradient.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>AdamW's guard against division by zero.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Whether AdamW's moments take a byte per number instead of four (arXiv 2110.02861), except in weights of
    /// fewer than 4,096 numbers.</summary>
    public bool EightBitState { get; init; }

    /// <summary>Whether steps are queued and their outcomes read later (<see cref="QueuedAdam"/>); null for yes on
    /// devices other than the processor.</summary>
    public bool? QueuesSteps { get; init; }

    /// <summary>Maximum norm of all gradients; larger ones are scaled down to it. 0 turns clipping off.</summary>
    public double MaxGradientNorm { get; init; } = 1;

    /// <summary>Whether to shuffle the examples in each epoch.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Seed for the order, dropout and new weights.</summary>
    public long Seed { get; init; } = 42;

    /// <summary>Steps between evaluations; null to evaluate at the end of each epoch, 0 never.</summary>
    public long? EvaluateEvery { get; init; }

    /// <summary>Examples per evaluation batch.</summary>
    public int EvaluationBatchSize { get; init; } = 16;

    /// <summary>Steps between resumable checkpoints; null to write none by steps.</summary>
    public long? SaveEvery { get; init; }

    /// <summary>Time between resumable checkpoints, which are written after a step; null to write none by
    /// time.</summary>
    public TimeSpan? SaveInterval { get; init; }

    /// <summary>Number of newest checkpoints to keep, besides the one with the lowest held-out loss.</summary>
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>Number of steps in a row without a finite loss and gradient after which the run stops with a diagnosis;
    /// fewer are skipped.</summary>
    public int MaxSkippedSteps { get; init; } = 10;

    /// <summary>Number of evaluations in a row without a better held-out loss after which the run ends; null for
    /// never.</summary>
    public int? Patience { get; init; }

    /// <summary>How much lower, in nats, a held-out loss must be to count as better for <see
    /// cref="Patience"/>.</summary>
    public double MinDelta { get; init; }

    /// <summary>Maximum duration, including evaluations, checkpoints and the time before a resume; the run ends after
    /// the current step. Null for no limit.</summary>
    public TimeSpan? MaxTime { get; init; }

    /// <summary>Maximum number of computed tokens, including those before a resume; the run ends after the current
    /// step. Null for no limit.</summary>
    public long? MaxTokens { get; init; }

    internal long PlannedSteps(long stepsPerEpoch) => Steps ?? Math.Max(1, (long)Math.Ceiling(Epochs * stepsPerEpoch));

    internal long PlannedWarmup(long totalSteps) => WarmupRatio > 0 ? (long)Math.Ceiling(WarmupRatio * totalSteps)
        : WarmupSteps;
}
