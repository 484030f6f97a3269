namespace LowRank;

/// <summary>The settings that the library's messages name. The path of one that recipes have is its key; front ends
/// have their own names for the others, or use the words.</summary>
internal static class KnownSettings
{
    public static readonly Setting BaseDtype = new("base_dtype", "the storage format of the base's weights");
    public static readonly Setting ComputeDtype = new("compute_dtype", "the compute type");
    public static readonly Setting BaseHead = new("base_head", "the storage of the output head");
    public static readonly Setting TrainingData = new("data.train", "the training data");
    public static readonly Setting HeldOutData = new("data.validation", "held-out data");
    public static readonly Setting HeldOutShare = new("data.validation_share", "the held-out share");
    public static readonly Setting SplitSeed = new("data.split_seed", "seed of the split");
    public static readonly Setting Weights = new("data.weights", "the mixture's weights");
    public static readonly Setting Columns = new("data.columns", "the column map");
    public static readonly Setting Template = new("data.template", "the row template");
    public static readonly Setting PlainText = new("data.text", "the reading of plain text");
    public static readonly Setting TableHeader = new("data.csv.header", "the header of tables");
    public static readonly Setting TableSeparator = new("data.csv.separator", "the table separator");
    public static readonly Setting OnBadRow = new("data.on_bad_row", "what is done with bad rows");
    public static readonly Setting Deduplicate = new("data.deduplicate", "the skipping of repeated rows");
    public static readonly Setting TokenCache = new("data.cache", "the storing of tokenised data");
    public static readonly Setting ChatTemplate = new("data.chat_template", "the chat template");
    public static readonly Setting Objective = new("objective.type", "the objective");
    public static readonly Setting TrainOn = new("data.train_on", "learned tokens");
    public static readonly Setting NewTokens = new("adapter.new_tokens", "new tokens");
    public static readonly Setting StartAdapter = new("training.init_adapter", "the adapter to begin from");
    public static readonly Setting BatchSize = new("training.batch_size", "the batch size");
    public static readonly Setting Accumulation = new("training.gradient_accumulation", "the batches per step");
    public static readonly Setting Checkpointing = new("training.gradient_checkpointing", "gradient checkpointing");
    public static readonly Setting LearningRate = new("training.learning_rate", "the learning rate");
    public static readonly Setting WarmupSteps = new("training.warmup_steps", "the warm-up steps");
    public static readonly Setting MaxGradientNorm = new("training.max_grad_norm", "the limit of the gradient norm");
    public static readonly Setting MaxSkippedSteps = new("training.max_skipped_steps", "the limit of skipped steps");
    public static readonly Setting MaxLength = new("training.max_length", "the maximum length");
    public static readonly Setting Shuffle = new("training.shuffle", "the shuffle setting");
    public static readonly Setting Seed = new("training.seed", "the seed");
    public static readonly Setting EvaluateEvery = new("training.eval_every", "the evaluation interval");
    public static readonly Setting SaveEvery = new("training.save_every", "the checkpoint interval");
    public static readonly Setting Patience = new("training.patience", "patience");
    public static readonly Setting Labels = new("task_options.labels", "the task's labels");
    public static readonly Setting Problem = new("task_options.problem", "the kind of problem");
    public static readonly Setting NewHead = new("task_options.new_head", "a new head");
    public static readonly Setting Pooling = new("task_options.pooling", "the pooling");
    public static readonly Setting Stride = new("task_options.stride", "the stride");

    // Not of recipes.
    public static readonly Setting MaxNewTokens = new("generation.max_new_tokens", "the number of new tokens");
    public static readonly Setting Temperature = new("generation.temperature", "the temperature");
    public static readonly Setting TopK = new("generation.top_k", "top-k");
    public static readonly Setting TopP = new("generation.top_p", "top-p");
    public static readonly Setting MinP = new("generation.min_p", "min-p");
    public static readonly Setting RepetitionPenalty = new("generation.repetition_penalty", "the repetition penalty");
    public static readonly Setting FrequencyPenalty = new("generation.frequency_penalty", "the frequency penalty");
    public static readonly Setting PresencePenalty = new("generation.presence_penalty", "the presence penalty");
    public static readonly Setting StopStrings = new("generation.stop", "the stop strings");
    public static readonly Setting Constraint = new("generation.constraint", "the constraint");
    public static readonly Setting LogitBias = new("generation.logit_bias", "the logit bias");
    public static readonly Setting OwnTemplate = new("run.template", "a template in Ollama's language");
    public static readonly Setting SystemMessage = new("run.system", "the system message");
    public static readonly Setting SeparateAdapter = new("run.separate", "a file for the adapter");
    public static readonly Setting Resume = new("run.resume", "resuming");
    public static readonly Setting Override = new("run.set", "the override");
    public static readonly Setting Run = new("run", "The recipe");
    public static readonly Setting NewConversation = new("chat.clear", "a new conversation");
    public static readonly Setting Generate = new("command.generate", "text generation");
    public static readonly Setting Convert = new("command.convert", "converting");
    public static readonly Setting Serve = new("command.serve", "serving");
    public static readonly Setting Inspect = new("command.inspect", "a summary");
    public static readonly Setting Merge = new("command.merge", "merging");
    public static readonly Setting Quantize = new("command.quantize", "quantising");
    public static readonly Setting Validate = new("command.validate", "preparing the run");
}

/// <summary>What the library's problems are called where a program tells them apart.</summary>
internal static class ProblemCodes
{
    /// <summary>A row lacks a field of the task.</summary>
    public const string RowLacksField = "row_lacks_field";

    /// <summary>A setting has a value that it does not take.</summary>
    public const string WrongValue = "wrong_value";

    /// <summary>There is no checkpoint to resume from.</summary>
    public const string NoCheckpoint = "no_checkpoint";

    /// <summary>The base is in another format than an adapter needs.</summary>
    public const string WrongFormat = "wrong_format";

    /// <summary>What is to be made on the Hub exists already.</summary>
    public const string Exists = "exists";
}
