namespace LowRank.Training;

/// <summary>The settings of a <see cref="Trainer"/>.</summary>
public sealed record TrainerOptions
{
    /// <summary>Passes over the training data; used when <see cref="Steps"/> is null.</summary>
    public double Epochs { get; init; } = 3;

    /// <summary>Optimizer steps; null derives them from <see cref="Epochs"/>.</summary>
    public long? Steps { get; init; }

    /// <summary>Examples of a micro-batch.</summary>
    public int BatchSize { get; init; } = 8;

    /// <summary>Micro-batches of an optimizer step; its loss is the sum over all of them divided by all their
    /// labels.</summary>
    public int GradientAccumulation { get; init; } = 1;

    /// <summary>Peak learning rate.</summary>
    public double LearningRate { get; init; } = 2e-4;

    /// <summary>The course of the learning rate.</summary>
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Linear;

    /// <summary>Steps over which the rate rises from zero.</summary>
    public long WarmupSteps { get; init; }

    /// <summary>Warm-up as a share of all steps, rounded up; used when above zero.</summary>
    public double WarmupRatio { get; init; }

    /// <summary>Decoupled weight decay (arXiv 1711.05101), applied to every trained weight.</summary>
    public double WeightDecay { get; init; }

    /// <summary>Whether blocks are computed again in the backward pass instead of being kept
    /// (<see cref="Models.INetwork.GradientCheckpointing"/>).</summary>
    public bool GradientCheckpointing { get; init; }

    /// <summary>AdamW's decay of the mean gradient.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>AdamW's decay of the mean squared gradient.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>AdamW's guard against division by zero.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Largest norm of all gradients together; larger ones are scaled down to it. 0 turns clipping
    /// off.</summary>
    public double MaxGradientNorm { get; init; } = 1;

    /// <summary>Whether each epoch takes the examples in a new order.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Seed of the order, of dropout and of fresh weights.</summary>
    public long Seed { get; init; } = 42;

    /// <summary>Steps between evaluations; null evaluates at the end of each epoch, 0 never.</summary>
    public long? EvaluateEvery { get; init; }

    /// <summary>Examples of an evaluation batch.</summary>
    public int EvaluationBatchSize { get; init; } = 16;

    /// <summary>Steps between resumable checkpoints; null writes none by steps.</summary>
    public long? SaveEvery { get; init; }

    /// <summary>A resumable checkpoint is written after the step in which so much time has passed since the last one;
    /// null writes none by time.</summary>
    public TimeSpan? SaveInterval { get; init; }

    /// <summary>How many of the newest checkpoints are kept, besides the one of the lowest held-out loss.</summary>
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>After so many steps in a row without a finite loss and gradient the run stops with a diagnosis; single
    /// ones are skipped.</summary>
    public int MaxSkippedSteps { get; init; } = 10;

    /// <summary>After so many evaluations in a row without a better held-out loss the run ends; null for
    /// never.</summary>
    public int? Patience { get; init; }

    /// <summary>By how much, in nats, a held-out loss must be lower to count as better for
    /// <see cref="Patience"/>.</summary>
    public double MinDelta { get; init; }

    /// <summary>The run ends after the step in which it has gone on so long, evaluations and checkpoints included, and
    /// the time before a resume; null for no limit.</summary>
    public TimeSpan? MaxTime { get; init; }

    /// <summary>The run ends after the step in which it has computed so many tokens, those before a resume included;
    /// null for no limit.</summary>
    public long? MaxTokens { get; init; }

    internal long PlannedSteps(long stepsPerEpoch) => Steps ?? Math.Max(1, (long)Math.Ceiling(Epochs * stepsPerEpoch));

    internal long PlannedWarmup(long totalSteps) => WarmupRatio > 0 ? (long)Math.Ceiling(WarmupRatio * totalSteps)
        : WarmupSteps;
}
