namespace LowRank.Recipes;

/// <summary>How it is trained: the recipe's <c>training</c>.</summary>
public sealed record TrainingSection
{
    /// <summary>Passes over the data; may be a fraction, the steps are then rounded up.</summary>
    public double Epochs { get; init; } = 3;

    /// <summary>Optimizer steps; replaces epochs.</summary>
    public long? Steps { get; init; }

    /// <summary>Examples of a micro-batch.</summary>
    public int BatchSize { get; init; } = 8;

    /// <summary>Micro-batches of a step.</summary>
    public int GradientAccumulation { get; init; } = 1;

    /// <summary>Rows one after the other without padding (causal_lm).</summary>
    public bool Packing { get; init; } = true;

    /// <summary>"true": rows of a step compute equal beginnings once; "grouped": rows of one prompt also come together; "false".</summary>
    public string SharePrompts { get; init; } = "true";

    /// <summary>Most positions computed at once; null: micro-batches of <see cref="BatchSize"/> rows (causal_lm).</summary>
    public int? BatchTokens { get; init; }

    /// <summary>Peak learning rate; null takes <see cref="Recipe.DefaultLearningRate"/>. A recipe that was read always has one.</summary>
    public double? LearningRate { get; init; }

    /// <summary>"constant", "linear" or "cosine".</summary>
    public string Schedule { get; init; } = "linear";

    /// <summary>Steps of warm-up.</summary>
    public long WarmupSteps { get; init; }

    /// <summary>Warm-up as a share of all steps.</summary>
    public double WarmupRatio { get; init; }

    /// <summary>AdamW's decoupled weight decay.</summary>
    public double WeightDecay { get; init; }

    /// <summary>Whether blocks are computed again in the backward pass instead of being kept.</summary>
    public bool GradientCheckpointing { get; init; }

    /// <summary>AdamW's first decay.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>AdamW's second decay.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>AdamW's epsilon.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Largest gradient norm; 0 turns clipping off.</summary>
    public double MaxGradNorm { get; init; } = 1;

    /// <summary>Longest example in tokens; what is beyond is cut off and counted.</summary>
    public int MaxLength { get; init; } = 512;

    /// <summary>Whether each epoch has an order of its own.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Seed of everything random.</summary>
    public long Seed { get; init; } = 42;

    /// <summary>Steps between evaluations; null: at each epoch's end; 0: never.</summary>
    public long? EvalEvery { get; init; }

    /// <summary>Examples of an evaluation batch.</summary>
    public int EvalBatchSize { get; init; } = 16;

    /// <summary>A PEFT folder to start from; its config replaces the adapter section's.</summary>
    public string? InitAdapter { get; init; }

    /// <summary>Random weights from the model's config.json; with method full only.</summary>
    public bool FromScratch { get; init; }

    /// <summary>Steps between resumable checkpoints; null: as <see cref="SavesByTime"/> says.</summary>
    public long? SaveEvery { get; init; }

    /// <summary>Whether a resumable checkpoint is written every 10 minutes where <see cref="SaveEvery"/> is null; false: none.</summary>
    public bool SavesByTime { get; init; } = true;

    /// <summary>Checkpoints kept, besides the best one.</summary>
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>Steps in a row without a finite loss and gradient after which the run stops; single ones are skipped.</summary>
    public int MaxSkippedSteps { get; init; } = 10;

    /// <summary>Evaluations in a row without a better held-out loss after which the run ends; null: never.</summary>
    public int? Patience { get; init; }

    /// <summary>By how much a held-out loss must be lower to count as better for patience.</summary>
    public double MinDelta { get; init; }

    /// <summary>How long the run may go on; null: without limit.</summary>
    public TimeSpan? MaxTime { get; init; }

    /// <summary>How many tokens may be computed; null: without limit.</summary>
    public long? MaxTokens { get; init; }

    /// <summary>Processor threads; null: one a physical core.</summary>
    public int? Threads { get; init; }

    /// <summary>Whether event files for TensorBoard are written besides metrics.jsonl.</summary>
    public bool TensorBoard { get; init; }
}
