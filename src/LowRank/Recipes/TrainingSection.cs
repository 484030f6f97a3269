using static LowRank.Recipes.KeyTypes;

namespace LowRank.Recipes;

/// <summary>The recipe's <c>training</c> section: how to train.</summary>
public sealed record TrainingSection
{
    /// <summary>Number of passes over the data; may be fractional, with the number of steps rounded up.</summary>
    public double Epochs { get; init; } = 3;

    /// <summary>Number of optimizer steps; replaces epochs.</summary>
    public long? Steps { get; init; }

    /// <summary>Number of examples per micro-batch.</summary>
    public int BatchSize { get; init; } = 8;

    /// <summary>Number of micro-batches per step.</summary>
    public int GradientAccumulation { get; init; } = 1;

    /// <summary>Whether rows are packed without padding (causal_lm).</summary>
    public bool Packing { get; init; } = true;

    /// <summary>"true": rows of a step compute common prefixes once; "grouped": rows with the same prompt are also
    /// grouped together; "false".</summary>
    public string SharePrompts { get; init; } = "true";

    /// <summary>Maximum number of positions computed at once; null: micro-batches of <see cref="BatchSize"/> rows
    /// (causal_lm).</summary>
    public int? BatchTokens { get; init; }

    /// <summary>Peak learning rate; null uses <see cref="Recipe.DefaultLearningRate"/>. A recipe that was read always
    /// has one.</summary>
    public double? LearningRate { get; init; }

    /// <summary>"constant", "linear" or "cosine".</summary>
    public string Schedule { get; init; } = "linear";

    /// <summary>Number of warm-up steps.</summary>
    public long WarmupSteps { get; init; }

    /// <summary>Warm-up as a fraction of all steps.</summary>
    public double WarmupRatio { get; init; }

    /// <summary>"adamw": two float32 numbers per trained weight; "adamw_8bit": a byte for each of them.</summary>
    public string Optimizer { get; init; } = "adamw";

    /// <summary>AdamW's decoupled weight decay.</summary>
    public double WeightDecay { get; init; }

    /// <summary>Whether blocks are recomputed in the backward pass instead of stored.</summary>
    public bool GradientCheckpointing { get; init; }

    /// <summary>AdamW's beta1.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>AdamW's beta2.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>AdamW's epsilon.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Maximum gradient norm; 0 disables clipping.</summary>
    public double MaxGradNorm { get; init; } = 1;

    /// <summary>Maximum example length in tokens; longer examples are truncated and counted.</summary>
    public int MaxLength { get; init; } = 512;

    /// <summary>Whether each epoch has its own random order.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Seed of everything random.</summary>
    public long Seed { get; init; } = 42;

    /// <summary>Number of steps between evaluations; null: at the end of each epoch; 0: never.</summary>
    public long? EvalEvery { get; init; }

    /// <summary>Number of examples per evaluation batch.</summary>
    public int EvalBatchSize { get; init; } = 16;

    /// <summary>A PEFT folder to start from; its config replaces the adapter section's.</summary>
    public string? InitAdapter { get; init; }

    /// <summary>Whether to start from random weights with the model's config.json; only with method full.</summary>
    public bool FromScratch { get; init; }

    /// <summary>Number of steps between resumable checkpoints; null: depends on <see cref="SavesByTime"/>.</summary>
    public long? SaveEvery { get; init; }

    /// <summary>Whether a resumable checkpoint is written every 10 minutes if <see cref="SaveEvery"/> is null; false:
    /// none.</summary>
    public bool SavesByTime { get; init; } = true;

    /// <summary>Number of checkpoints to keep, in addition to the best one.</summary>
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>Number of consecutive steps without a finite loss and gradient after which the run stops; single ones
    /// are skipped.</summary>
    public int MaxSkippedSteps { get; init; } = 10;

    /// <summary>Number of consecutive evaluations without a better held-out loss after which the run ends; null:
    /// never.</summary>
    public int? Patience { get; init; }

    /// <summary>How much lower a held-out loss must be to count as better for patience.</summary>
    public double MinDelta { get; init; }

    /// <summary>Maximum duration of the run; null: unlimited.</summary>
    public TimeSpan? MaxTime { get; init; }

    /// <summary>Maximum number of tokens computed; null: unlimited.</summary>
    public long? MaxTokens { get; init; }

    /// <summary>Number of processor threads; null: as many as the environment variable OMP_NUM_THREADS
    /// says, else one per physical core.</summary>
    public int? Threads { get; init; }

    /// <summary>Whether to write TensorBoard event files in addition to metrics.jsonl.</summary>
    public bool TensorBoard { get; init; }
}

/// <summary>The keys of <c>training</c>.</summary>
internal static class TrainingKeys
{
    /// <summary>The optimizer whose state takes a byte per number.</summary>
    public const string EightBit = "adamw_8bit";

    private static readonly KeySection<TrainingSection> At =
        new("training", recipe => recipe.Training, (recipe, t) => recipe with { Training = t });

    public static IReadOnlyList<RecipeKey> All { get; } =
    [
        At.Always("epochs", Number(above: true), "passes over the data; may be a fraction",
            t => t.Epochs, (t, number) => t with { Epochs = number }) with
            { IsWritten = r => r.Training.Steps is null, Hint = "passes over the data" },
        At.Key("steps", Whole(least: 1), "number of optimizer steps, instead of epochs",
            t => t.Steps, (t, steps) => t with { Steps = steps }) with
            {
                IsWritten = r => r.Training.Steps is not null, Replaces = "epochs",
                Unless = [c => c.IsGiven("training.epochs")
                    ? $"and {c["training.epochs"]} are both given; keep one of them" : null],
            },
        At.Always("batch_size", Count(least: 1), "examples per micro-batch",
            t => t.BatchSize, (t, count) => t with { BatchSize = count }) with
            { Hint = "rows computed at once; to save memory, lower it and raise gradient_accumulation" },
        At.Always("gradient_accumulation", Count(least: 1),
            "micro-batches per step; the loss is divided by the number of labels in the step",
            t => t.GradientAccumulation, (t, count) => t with { GradientAccumulation = count }),
        At.Key("packing", Flag,
            "`causal_lm`: rows one after another without padding; changes losses and gradients only by rounding; " +
            "see [Batches](#batches)",
            t => t.Packing, (t, flag) => t with { Packing = flag }) with { Unless = [RecipeChoices.OfLanguageModels] },
        At.Key("share_prompts", OneOf("true", "false", "grouped"),
            "`true`: common beginnings of a step's rows are computed once, which changes only rounding; `grouped`: " +
            "rows with the same prompt also follow each other so they meet in a step, which changes the order of " +
            "rows; `false`: off",
            t => t.SharePrompts, (t, word) => t with { SharePrompts = word }) with
            {
                Unless = [RecipeChoices.OfLanguageModels, c => c.Training.Packing ? null
                    : c.Training.SharePrompts switch
                    {
                        "grouped" => $"is grouped, which needs {c["training.packing"]}: true; change one of them",
                        "true" => $"has no effect with {c["training.packing"]}: false; remove one of them",
                        _ => null,
                    }],
            },
        At.Key("batch_tokens", Count(least: 1),
            "maximum number of positions per micro-batch: a step's rows are split into as many micro-batches as " +
            "needed, regardless of `batch_size`",
            t => t.BatchTokens, (t, count) => t with { BatchTokens = count })
            with { Unless = [RecipeChoices.OfLanguageModels, ObjectiveKeys.OfTexts] },
        At.Key("gradient_checkpointing", Flag,
            "store only the blocks' inputs and recompute the blocks in the backward pass: less memory, more time " +
            "(each block's forward pass runs twice, except its last product), the same gradients to the last bit; " +
            "for decoders and encoders, without prompt and prefix tuning",
            t => t.GradientCheckpointing, (t, flag) => t with { GradientCheckpointing = flag }) with
            {
                Unless = [c => c.Training.GradientCheckpointing
                    && c.Adapter.MethodName is "prompt_tuning" or "prefix_tuning"
                    ? $"does not go with {c["adapter.method"]}: {c.Adapter.MethodName}, whose states every layer " +
                    "reads; " +
                    "remove one of them" : null],
            },
        At.Always("learning_rate", Number(above: true), "peak rate of AdamW",
            t => t.LearningRate, (t, rate) => t with { LearningRate = rate },
            otherwise: r => r.UsualLearningRate) with
            {
                Written = r => r.EffectiveLearningRate, Default =
                    "2e-4 (lora), 2e-5 (full), 5e-4 (from scratch), and a tenth of it with preferences",
                Hint = "about ten times that of full training; if it is too high, the loss rises",
            },
        At.Always("schedule", OneOf("constant", "linear", "cosine"),
            "`constant`, `linear`, `cosine`, after warm-up",
            t => t.Schedule, (t, word) => t with { Schedule = word }),
        At.Key("warmup_steps", Whole(least: 0), "steps over which the rate rises from zero",
            t => t.WarmupSteps, (t, steps) => t with { WarmupSteps = steps }) with
            {
                IsWritten = r => r.Training.WarmupRatio == 0,
                Unless = [c => c.Training.Steps is { } steps && c.Training.WarmupSteps > steps
                    ? $"is {c.Training.WarmupSteps}, expected at most {c["training.steps"]}, {steps}" : null],
            },
        At.Key("warmup_ratio", Number(below: 1), "the same, as a share of all steps",
            t => t.WarmupRatio, (t, share) => t with { WarmupRatio = share }) with
            {
                IsWritten = r => r.Training.WarmupRatio > 0, Replaces = "warmup_steps",
                Unless = [c => c.IsGiven("training.warmup_steps")
                    ? $"and {c["training.warmup_steps"]} are both given; keep one of them" : null],
            },
        At.Always("optimizer", OneOf("adamw", EightBit),
            "`adamw` keeps two float32 numbers per trained weight; `adamw_8bit` keeps a byte for each (a quarter " +
            "of the memory; weights of fewer than 4,096 numbers keep float32), which helps with `method: full`; see " +
            "[The optimizer's memory](#the-optimizers-memory)",
            t => t.Optimizer, (t, word) => t with { Optimizer = word }),
        At.Always("weight_decay", Number(), "decoupled weight decay",
            t => t.WeightDecay, (t, number) => t with { WeightDecay = number }),
        At.Always("beta1", Number(below: 1), "AdamW's decay of the mean of gradients",
            t => t.Beta1, (t, number) => t with { Beta1 = number }),
        At.Always("beta2", Number(below: 1), "AdamW's decay of the mean of their squares",
            t => t.Beta2, (t, number) => t with { Beta2 = number }),
        At.Always("epsilon", Number(above: true), "AdamW's constant in the denominator",
            t => t.Epsilon, (t, number) => t with { Epsilon = number }),
        At.Always("max_grad_norm", Number(), "gradients with a larger norm are scaled down to it; 0 turns clipping off",
            t => t.MaxGradNorm, (t, number) => t with { MaxGradNorm = number }),
        At.Always("max_length", Count(least: 2),
            "maximum example length in tokens; longer ones are cut, and a note counts them. Default for a " +
            "sentence-transformers folder: the folder's own",
            t => t.MaxLength, (t, tokens) => t with { MaxLength = tokens }) with
            { Hint = "maximum row length in tokens; longer rows are cut and counted" },
        At.Always("shuffle", Flag, "shuffle the rows in each epoch",
            t => t.Shuffle, (t, flag) => t with { Shuffle = flag }),
        At.Always("seed", Whole(least: 0), "seed for order, dropout and new weights",
            t => t.Seed, (t, seed) => t with { Seed = seed }) with
            { Hint = "the same seed on the same machine gives the same bytes" },
        At.Key("eval_every", Whole(least: 0), "steps between evaluations; 0 turns evaluation off",
            t => t.EvalEvery, (t, steps) => t with { EvalEvery = steps }) with
            {
                Default = "each epoch's end", MayChange = true,
                Unless = [c => c.Training.EvalEvery > 0 && c.HoldsNothingOut
                    ? $"has no effect without {c["data.validation"]} or {c["data.validation_share"]}; add that " +
                        "or remove this"
                    : null],
            },
        At.Key("eval_batch_size", Count(least: 1), "examples per evaluation batch",
            t => t.EvalBatchSize, (t, count) => t with { EvalBatchSize = count }) with
            {
                MayChange = true,
                Unless = [c => c.HoldsNothingOut && c.Recipe.Comparison is null
                    ? $"has no effect without {c["data.validation"]}, {c["data.validation_share"]} or comparison; " +
                        "add one of them or remove this" : null],
            },
        At.Key("init_adapter", FolderOrRepository,
            "PEFT folder (or name on the Hub) to start from; its config applies, and an `adapter` key that differs " +
            "from it is an error",
            t => t.InitAdapter, (t, place) => t with { InitAdapter = place }) with
            {
                MayChange = true,
                Unless = [c => c.Training.FromScratch
                    ? $"does not go with {c["training.from_scratch"]}; keep one of them"
                    : c.Adapter.Method is null
                    ? $"does not go with {c["adapter.method"]}: full; merge the adapter into the model first" : null],
            },
        At.Key("from_scratch", Flag, "start from random weights for the model's `config.json`; requires `method: full`",
            t => t.FromScratch, (t, flag) => t with { FromScratch = flag }) with
            {
                Unless = [c => c.Training.FromScratch && c.Adapter.Method is not null
                    ? $"needs {c["adapter.method"]}: full; an adapter needs a pretrained base" : null],
            },
        At.Always("save_every", WholeOrWord(1, "auto", "none"),
            "when to write checkpoints for `--resume`: `auto` every 10 minutes, a whole number after that many " +
            "steps, `none` never",
            t => t.SaveEvery is { } every ? every : t.SavesByTime ? "auto" : "none",
            (t, save) => t with { SaveEvery = save.Number, SavesByTime = save.Word == "auto" }) with
            {
                MayChange = true,
                Hint = "checkpoints for 'lowrank train RECIPE --resume': auto (every 10 minutes), none, or a number " +
                    "of steps",
            },
        At.Always("keep_checkpoints", Count(least: 1),
            "number of newest checkpoints to keep, besides the one with the lowest held-out loss",
            t => t.KeepCheckpoints, (t, count) => t with { KeepCheckpoints = count }) with { MayChange = true },
        At.Always("max_skipped_steps", Count(least: 1),
            "a step without a finite loss and gradient is skipped; after this many in a row the run stops and says " +
            "why; see [Stopping](#stopping)",
            t => t.MaxSkippedSteps, (t, steps) => t with { MaxSkippedSteps = steps }) with { MayChange = true },
        At.Key("patience", Count(least: 1), "number of evaluations without a better held-out loss after which the " +
            "run ends",
            t => t.Patience, (t, count) => t with { Patience = count }) with
            {
                MayChange = true,
                Unless = [c => c.HoldsNothingOut
                    ? $"stops by the held-out loss, which needs {c["data.validation"]} or " +
                    $"{c["data.validation_share"]}; add that or remove this"
                    : c.Training.EvalEvery == 0
                    ? $"stops by the held-out loss, and {c["training.eval_every"]} is 0: never; change one of " +
                        "them" : null],
            },
        At.Key("min_delta", Number(), "how much lower a loss must be to count as better for `patience`",
            t => t.MinDelta, (t, number) => t with { MinDelta = number }) with
            {
                MayChange = true,
                Unless = [c => c.Training is { Patience: null, MinDelta: > 0 }
                    ? $"has no effect without {c["training.patience"]}; add that or remove this" : null],
            },
        At.Always("max_time", Time,
            "maximum duration, such as `30m`, `1h30m` or seconds; a resumed run continues the count",
            t => t.MaxTime?.TotalSeconds, (t, time) => t with { MaxTime = time }) with { MayChange = true },
        At.Always("max_tokens", Whole(least: 1),
            "maximum number of tokens to compute, without padding; a resumed run continues the count",
            t => t.MaxTokens, (t, count) => t with { MaxTokens = count }) with { MayChange = true },
        At.Always("threads", Count(least: 1, most: 1024), "number of processor threads",
            t => t.Threads, (t, count) => t with { Threads = count })
            with { Default = "OMP_NUM_THREADS, else physical cores" },
        At.Always("tensorboard", Flag,
            "also write TensorBoard event files to `OUTPUT/tensorboard`",
            t => t.TensorBoard, (t, flag) => t with { TensorBoard = flag }) with { MayChange = true },
    ];
}
