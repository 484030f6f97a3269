using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Recipes;
using LowRank.Training;

namespace LowRank;

/// <summary>How a model is adapted. The defaults are those of recipes (docs/recipes.md says more of each
/// setting).</summary>
public sealed record TrainingOptions
{
    private static readonly TrainingSection Usual = new();
    private static readonly DataSection UsualData = new() { Train = [] };

    /// <summary>What the model is adapted to. Default: predicting the next token.</summary>
    public TaskOptions Task { get; init; } = TaskOptions.CausalLanguageModel;

    /// <summary>The folder of the run: adapter, metrics and checkpoints, as <c>lowrank train</c> writes them and
    /// <c>lowrank runs</c> and <c>lowrank report</c> read them. Default: null, nothing is kept on disk.</summary>
    public string? OutputFolder { get; init; }

    /// <summary>Whether the run in <see cref="OutputFolder"/>, which is needed then, goes on from its newest
    /// checkpoint. Default: false.</summary>
    public bool Resume { get; init; }

    /// <summary>The folder of an adapter to begin from, whose own settings hold. Default: null.</summary>
    public string? StartFrom { get; init; }

    /// <summary>The method, where an adapter's config cannot say it, with its own settings as properties:
    /// <c>new LoraPlusMethod { Ratio = 8 }</c>, LoRA-FA, BitFit, or EVA with another number of examples. It takes rank,
    /// alpha and modules of a <see cref="LoraConfig"/>, and goes with no other config. Default: null, the method that
    /// the config stands for.</summary>
    public IAdapterMethod? Method { get; init; }

    /// <summary>Rows to measure the loss on, which nothing is learned from. Default: null.</summary>
    public Dataset? Validation { get; init; }

    /// <summary>The fraction of the training rows that is held out to measure the loss on, instead of
    /// <see cref="Validation"/>. Default: 0.</summary>
    public double ValidationShare { get; init; } = UsualData.ValidationShare;

    /// <summary>Another seed holds out other rows. Default: 42.</summary>
    public long SplitSeed { get; init; } = UsualData.SplitSeed;

    /// <summary>Whether the adapter of the lowest held-out loss is used afterwards, instead of the last; needs held-out
    /// rows. Default: false.</summary>
    public bool KeepBest { get; init; }

    /// <summary>Passes over the rows; may be a fraction. Default: 3.</summary>
    public double Epochs { get; init; } = Usual.Epochs;

    /// <summary>Optimizer steps, which replace <see cref="Epochs"/>. Default: null.</summary>
    public long? Steps { get; init; }

    /// <summary>Rows of a micro-batch. Default: 8.</summary>
    public int BatchSize { get; init; } = Usual.BatchSize;

    /// <summary>Micro-batches of an optimizer step. Default: 1.</summary>
    public int GradientAccumulation { get; init; } = Usual.GradientAccumulation;

    /// <summary>Peak learning rate. Default: null, the adapter method's own (LoRA: 2e-4).</summary>
    public double? LearningRate { get; init; }

    /// <summary>The course of the learning rate. Default: linear, down to 0.</summary>
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Linear;

    /// <summary>Steps over which the rate rises from 0. Default: 0.</summary>
    public long WarmupSteps { get; init; } = Usual.WarmupSteps;

    /// <summary>The same as a fraction of all steps. Default: 0.</summary>
    public double WarmupRatio { get; init; } = Usual.WarmupRatio;

    /// <summary>Whether AdamW keeps a byte instead of four for each number of its state (arXiv 2110.02861), except for
    /// weights of fewer than 4,096 numbers. Default: false.</summary>
    public bool EightBitOptimizer { get; init; }

    /// <summary>AdamW's decoupled weight decay. Default: 0.</summary>
    public double WeightDecay { get; init; } = Usual.WeightDecay;

    /// <summary>AdamW's decay of the mean gradient. Default: 0.9.</summary>
    public double Beta1 { get; init; } = Usual.Beta1;

    /// <summary>AdamW's decay of the mean squared gradient. Default: 0.999.</summary>
    public double Beta2 { get; init; } = Usual.Beta2;

    /// <summary>AdamW's guard against division by 0. Default: 1e-8.</summary>
    public double Epsilon { get; init; } = Usual.Epsilon;

    /// <summary>Largest norm of all gradients together; 0 turns clipping off. Default: 1.</summary>
    public double MaxGradientNorm { get; init; } = Usual.MaxGradNorm;

    /// <summary>Longest row in tokens; what is beyond is cut off and noted. Default: 512.</summary>
    public int MaxLength { get; init; } = Usual.MaxLength;

    /// <summary>What is learned of prompts and conversations. Default: the completion, and the assistant's
    /// turns.</summary>
    public TrainOn TrainOn { get; init; } = TrainOn.Completion;

    /// <summary>What a language model learns by: texts, or preferences such as
    /// <c>new ObjectiveSection { Type = "dpo" }</c>. Default: texts.</summary>
    public ObjectiveSection Objective { get; init; } = new();

    /// <summary>The chat template that writes conversations: a file, or the name of one in the model's folder. Default:
    /// null, the model's own.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>Whether rows stand one after the other without padding (next-token prediction). Default:
    /// true.</summary>
    public bool Packing { get; init; } = Usual.Packing;

    /// <summary>Whether rows of a step compute equal beginnings once. Default: within a step.</summary>
    public PromptSharing SharePrompts { get; init; } = PromptSharing.InStep;

    /// <summary>Most positions computed at once. Default: null, micro-batches of <see cref="BatchSize"/>
    /// rows.</summary>
    public int? BatchTokens { get; init; }

    /// <summary>Whether blocks are computed again in the backward pass instead of being kept: less memory, more time.
    /// Default: false.</summary>
    public bool GradientCheckpointing { get; init; } = Usual.GradientCheckpointing;

    /// <summary>Whether each epoch takes the rows in another order. Default: true.</summary>
    public bool Shuffle { get; init; } = Usual.Shuffle;

    /// <summary>Seed of the order, of dropout and of fresh weights. Default: null, the model's
    /// (<see cref="LanguageModelOptions.Seed"/>).</summary>
    public long? Seed { get; init; }

    /// <summary>Whether rows are made as training asks for them, so that files may be of any size; needs
    /// <see cref="Steps"/>. Default: false.</summary>
    public bool Streaming { get; init; } = UsualData.Streaming;

    /// <summary>Rows of the buffer that a stream draws from. Default: 10,000.</summary>
    public int ShuffleBuffer { get; init; } = UsualData.ShuffleBuffer;

    /// <summary>Whether tokenised files are kept in the user's cache for the next run. Default: true.</summary>
    public bool CacheTokens { get; init; } = UsualData.Cache;

    /// <summary>Steps between evaluations; 0 for none. Default: null, at each epoch's end.</summary>
    public long? EvaluateEvery { get; init; }

    /// <summary>Rows of an evaluation batch. Default: 16.</summary>
    public int EvaluationBatchSize { get; init; } = Usual.EvalBatchSize;

    /// <summary>Evaluations in a row without a better held-out loss after which the run ends. Default: null,
    /// never.</summary>
    public int? Patience { get; init; }

    /// <summary>By how much a held-out loss must be lower to count as better for <see cref="Patience"/>. Default:
    /// 0.</summary>
    public double MinDelta { get; init; } = Usual.MinDelta;

    /// <summary>How long the run may go on. Default: null, without limit.</summary>
    public TimeSpan? MaxTime { get; init; }

    /// <summary>How many tokens may be computed. Default: null, without limit.</summary>
    public long? MaxTokens { get; init; }

    /// <summary>Steps between checkpoints to resume from. Default: null, every 10 minutes; none without an
    /// <see cref="OutputFolder"/>, where another number is an error.</summary>
    public long? SaveEvery { get; init; }

    /// <summary>Checkpoints kept, besides the one of the lowest held-out loss; needs an <see cref="OutputFolder"/>.
    /// Default: 2.</summary>
    public int KeepCheckpoints { get; init; } = Usual.KeepCheckpoints;

    /// <summary>Steps in a row without a finite loss and gradient after which the run stops with a diagnosis; single
    /// ones are skipped. Default: 10.</summary>
    public int MaxSkippedSteps { get; init; } = Usual.MaxSkippedSteps;

    /// <summary>Whether event files for TensorBoard are written besides, into the <see cref="OutputFolder"/>. Default:
    /// false.</summary>
    public bool TensorBoard { get; init; } = Usual.TensorBoard;

    /// <summary>Texts of tokens that are added to the vocabulary and trained. Default: none.</summary>
    public IReadOnlyList<string> NewTokens { get; init; } = [];
}

/// <summary>How far an adaptation is.</summary>
/// <param name="Step">Optimizer steps taken.</param>
/// <param name="Steps">Optimizer steps planned.</param>
public sealed record TrainingProgress(long Step, long Steps)
{
    /// <summary>The mean loss of the step per predicted label, in nats; null before the first, and for a step that was
    /// skipped because loss or gradient was no number.</summary>
    public double? Loss { get; init; }

    /// <summary>The step's learning rate.</summary>
    public double LearningRate { get; init; }

    /// <summary>Tokens per second, over the last steps.</summary>
    public double TokensPerSecond { get; init; }

    /// <summary>Time spent in steps.</summary>
    public TimeSpan Elapsed { get; init; }

    /// <summary>The last held-out loss, in nats; null before the first evaluation.</summary>
    public double? ValidationLoss { get; init; }

    /// <summary>The task's metrics of that evaluation.</summary>
    public IReadOnlyDictionary<string, double?> Metrics { get; init; } = new Dictionary<string, double?>();
}

/// <summary>What an adaptation has come to.</summary>
/// <param name="Adapter">The adapter, which is in use.</param>
/// <param name="Ending">Why it ended.</param>
/// <param name="Steps">Optimizer steps.</param>
public sealed record AdaptationResult(LoadedAdapter Adapter, RunEnding Ending, long Steps)
{
    /// <summary>The loss of each step, in nats; null for a step that was skipped. Of a resumed run, the steps since
    /// then.</summary>
    public IReadOnlyList<double?> Losses { get; init; } = [];

    /// <summary>The loss of the last step that was not skipped, in nats.</summary>
    public double? Loss { get; init; }

    /// <summary>The evaluations in their order, with the task's metrics.</summary>
    public IReadOnlyList<EvaluationResult> Evaluations { get; init; } = [];

    /// <summary>The lowest held-out loss, in nats; null without an evaluation.</summary>
    public double? BestLoss { get; init; }

    /// <summary>The step of the lowest held-out loss.</summary>
    public long? BestStep { get; init; }

    /// <summary>Tokens trained on, padding left out.</summary>
    public long Tokens { get; init; }

    /// <summary>Time spent in steps.</summary>
    public TimeSpan Elapsed { get; init; }

    /// <summary>The run's folder; null where none was asked for.</summary>
    public string? OutputFolder { get; init; }

    /// <summary>What became of the data and the settings, and what is advised, a sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
