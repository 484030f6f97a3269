using LowRank.Adapters.Methods;
using LowRank.Data.Rows;
using LowRank.Quantization;
using LowRank.Tasks;

namespace LowRank.Recipes;

/// <summary>A training run as its user describes it. All paths are absolute once loaded.</summary>
/// <remarks>In paths <c>${NAME}</c> stands for an environment variable. A key that is empty or null takes its
/// default.</remarks>
public sealed record Recipe
{
    /// <summary>The base model's folder, or where there is none of that name a repository of the Hugging Face Hub,
    /// <c>org/name[@revision]</c>.</summary>
    public required string Model { get; init; }

    /// <summary>What the model is adapted to, such as causal_lm or sequence_classification.</summary>
    public string Task { get; init; } = TaskRegistry.Default;

    /// <summary>The task's own settings.</summary>
    public TaskSection TaskOptions { get; init; } = new();

    /// <summary>Where it computes: cpu, cuda, cuda:N or mps.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>How the weights of the base's linear layers are kept, one of
    /// <see cref="WeightFormats.Names"/>.</summary>
    public string BaseDtype { get; init; } = WeightFormats.Auto;

    /// <summary>Whether CUDA multiplies float32 matrices in TF32, with 10 bits of mantissa instead of 23.</summary>
    public bool Tf32 { get; init; }

    /// <summary>What is learned from.</summary>
    public required DataSection Data { get; init; }

    /// <summary>What is trained.</summary>
    public AdapterSection Adapter { get; init; } = new();

    /// <summary>How it is trained.</summary>
    public TrainingSection Training { get; init; } = new();

    /// <summary>The table before and after; null for none.</summary>
    public ComparisonSection? Comparison { get; init; }

    /// <summary>The folder that receives everything.</summary>
    public required string Output { get; init; }

    // Where each key stands that its text gives a value, by its full name; null for a recipe that was made without a
    // text.
    internal IReadOnlyDictionary<string, YamlPlace>? Given { get; init; }

    // What its user should know of how it was read, a sentence each.
    internal IReadOnlyList<string> ReadingNotes { get; init; } = [];

    /// <summary>The learning rate in effect.</summary>
    public double EffectiveLearningRate =>
        Training.LearningRate ?? DefaultLearningRate(Adapter.Method, Training.FromScratch);

    /// <summary>The learning rate of a recipe that names none.</summary>
    /// <param name="method">"full" takes 2e-5; an adapter wants about ten times the rate: "lora" takes 2e-4, and
    /// methods that train far fewer weights more.</param>
    /// <param name="fromScratch">Random weights take 5e-4.</param>
    public static double DefaultLearningRate(string method, bool fromScratch) =>
        fromScratch ? 5e-4 : method == "full" ? 2e-5 : AdapterMethods.Get(method).DefaultLearningRate;

    /// <summary>Bytes that a recipe's file may have: a long one has a few thousand, or a list of some hundred thousand
    /// tokens.</summary>
    internal const int MostBytes = 4 << 20;

    /// <summary>Reads a recipe file.</summary>
    /// <param name="path">The YAML file; relative paths inside are relative to its folder.</param>
    /// <param name="overrides"><c>section.key=value</c> each, applied over the file in their order; the value is YAML,
    /// nothing resets a key to its default, and relative paths are relative to the recipe's folder as those in the file
    /// are.</param>
    /// <exception cref="InputException">Every problem at once, each with its line.</exception>
    public static Recipe Load(string path, IReadOnlyList<string>? overrides = null)
    {
        if (!File.Exists(path)) throw new InputException($"The recipe {path} was not found.");
        string full = Path.GetFullPath(path);
        return RecipeReader.Read(SmallFile.ReadText(full, MostBytes), Path.GetDirectoryName(full)!, overrides
            ?? [], path, looksForFiles: true);
    }

    /// <summary>Reads a recipe's text.</summary>
    /// <param name="text">YAML.</param>
    /// <param name="folder">What relative paths are relative to.</param>
    /// <param name="overrides">As in <see cref="Load"/>.</param>
    /// <param name="name">The name used in messages.</param>
    /// <exception cref="InputException">Every problem at once, each with its line.</exception>
    public static Recipe Parse(
        string text, string folder, IReadOnlyList<string>? overrides = null, string name = "recipe") =>
        RecipeReader.Read(text, Path.GetFullPath(folder), overrides ?? [], name);

    /// <summary>The same run with every weight trained, for comparing; its learning rate is full training's
    /// own.</summary>
    public Recipe AsFullTraining() => this with
    {
        BaseDtype = WeightFormats.Float32,
        Adapter = new AdapterSection { Method = "full" },
        Training = Training with { InitAdapter = null, LearningRate = null },
        Given = Given?.Where(key => !key.Key.StartsWith("adapter.", StringComparison.Ordinal)).ToDictionary(),
    };

    /// <summary>The recipe with all effective values, as YAML that loads to an equal recipe.</summary>
    public string ToYaml() => RecipeWriter.Write(this);
}

/// <summary>What is trained: the recipe's <c>adapter</c>.</summary>
public sealed record AdapterSection
{
    /// <summary>The way to adapt, one of <see cref="LowRank.Adapters.Methods.AdapterMethods.Names"/>, or "full" for
    /// every weight of the model.</summary>
    public string Method { get; init; } = "lora";

    /// <summary>Rank of the pairs.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>Scale of the adapter: alpha / rank, or alpha / √rank with <see cref="UseRsLora"/>.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>Dropout on the input of A.</summary>
    public double Dropout { get; init; }

    /// <summary>Names of modules; null with <see cref="TargetPattern"/> null takes the model type's default.</summary>
    public IReadOnlyList<string>? TargetModules { get; init; }

    /// <summary>A regular expression for whole module paths, or "all-linear".</summary>
    public string? TargetPattern { get; init; }

    /// <summary>Names of modules to leave out.</summary>
    public IReadOnlyList<string>? ExcludeModules { get; init; }

    /// <summary>A regular expression for whole paths of modules to leave out.</summary>
    public string? ExcludePattern { get; init; }

    /// <summary>Which biases are trained: "none", "all" or "lora_only".</summary>
    public string Bias { get; init; } = "none";

    /// <summary>Rank-stabilised scale (arXiv 2312.03732).</summary>
    public bool UseRsLora { get; init; }

    /// <summary>Numbers of the layers to adapt; null for all.</summary>
    public IReadOnlyList<int>? LayersToTransform { get; init; }

    /// <summary>Name of the list of layers in module paths; null recognises it.</summary>
    public string? LayersPattern { get; init; }

    /// <summary>Ranks of modules that differ, by name or regular expression.</summary>
    public IReadOnlyDictionary<string, int> RankPattern { get; init; } = new Dictionary<string, int>();

    /// <summary>Alphas of modules that differ, by name or regular expression.</summary>
    public IReadOnlyDictionary<string, double> AlphaPattern { get; init; } = new Dictionary<string, double>();

    /// <summary>Names of modules that are trained whole beside the pairs; a task's head always is.</summary>
    public IReadOnlyList<string>? ModulesToSave { get; init; }

    /// <summary>Whether the embedding and an output head that shares its weight are changed alike where one is adapted
    /// or saved whole.</summary>
    public bool EnsureWeightTying { get; init; }

    /// <summary>Whether B has a bias.</summary>
    public bool LoraBias { get; init; }

    /// <summary>Ids of tokens whose rows of the embedding are trained themselves; null for none.</summary>
    public IReadOnlyList<int>? TrainableTokenIndices { get; init; }

    /// <summary>Texts of tokens that are added to the vocabulary and trained; null for none.</summary>
    public IReadOnlyList<string>? NewTokens { get; init; }

    /// <summary>The method's own settings that are given, by name.</summary>
    public IReadOnlyDictionary<string, object?> MethodOptions { get; init; } = new Dictionary<string, object?>();

    /// <summary>"true", "false" or "gaussian".</summary>
    public string InitLoraWeights { get; init; } = "true";
}

/// <summary>The table before and after training: the recipe's <c>comparison</c>.</summary>
public sealed record ComparisonSection
{
    /// <summary>Files, folders and patterns of held-out rows; the validation data by default.</summary>
    public IReadOnlyList<string> Data { get; init; } = [];

    /// <summary>Generations shown side by side.</summary>
    public int Generations { get; init; } = 3;

    /// <summary>Rows whose completion is generated to count the facts it states; 0 for none.</summary>
    public int Facts { get; init; }

    /// <summary>Prompts whose text is generated to measure BLEU, ROUGE-L and chrF against all completions of the
    /// prompt; 0 for none.</summary>
    public int References { get; init; }

    /// <summary>Most tokens of a generation.</summary>
    public int MaxNewTokens { get; init; } = 64;

    /// <summary>Whether the texts are generated at every evaluation too, and before the first step.</summary>
    public bool EveryEvaluation { get; init; }
}

/// <summary>What is learned from: the recipe's <c>data</c>.</summary>
public sealed record DataSection
{
    /// <summary>Files, folders and patterns to train on; at least one.</summary>
    public required IReadOnlyList<string> Train { get; init; }

    /// <summary>How much of the mixture each entry of <see cref="Train"/> makes up, in proportion; null takes every row
    /// once.</summary>
    public IReadOnlyList<double>? Weights { get; init; }

    /// <summary>Files, folders and patterns to evaluate on; may be empty.</summary>
    public IReadOnlyList<string> Validation { get; init; } = [];

    /// <summary>Share of the training rows that is held out to evaluate on; 0 for none.</summary>
    public double ValidationShare { get; init; }

    /// <summary>Another seed holds out other rows.</summary>
    public long SplitSeed { get; init; } = 42;

    /// <summary>"completion": loss on completions and the assistant's turns only; "all": on every token.</summary>
    public string TrainOn { get; init; } = "completion";

    /// <summary>The chat template that writes conversations: a file, or the name of one in the model's folder; null for
    /// the model's own.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>The data's names of fields by those that the task reads.</summary>
    public IReadOnlyDictionary<string, string> Columns { get; init; } = new Dictionary<string, string>();

    /// <summary>The user's own words around the fields, in Jinja: text; prompt and completion; user, assistant and
    /// perhaps system.</summary>
    public IReadOnlyDictionary<string, string> Template { get; init; } = new Dictionary<string, string>();

    /// <summary>What files of plain text hold: pairs, lines, document.</summary>
    public string Text { get; init; } = "pairs";

    /// <summary>How tables in text are written (CSV, TSV).</summary>
    public TableOptions Csv { get; init; } = new();

    /// <summary>"error": a wrong row ends the run before any work; "skip": it is left out and counted.</summary>
    public string OnBadRow { get; init; } = "error";

    /// <summary>Whether a row that was there before is left out.</summary>
    public bool Deduplicate { get; init; }

    /// <summary>Whether tokenised data is kept in the user's cache.</summary>
    public bool Cache { get; init; } = true;

    /// <summary>Whether rows are made as training asks for them, drawn from a bounded buffer.</summary>
    public bool Streaming { get; init; }

    /// <summary>Rows of that buffer.</summary>
    public int ShuffleBuffer { get; init; } = 10_000;
}

/// <summary>A task's own settings: the recipe's <c>task_options</c>. Each key belongs to some tasks; one that has no
/// effect on the recipe's task is refused.</summary>
public sealed record TaskSection
{
    /// <summary>The labels in the order of their numbers; null takes them from the base's head or the data.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>single_label_classification, multi_label_classification or regression; null lets the data
    /// tell.</summary>
    public string? Problem { get; init; }

    /// <summary>One of <see cref="Models.Sentences.SentenceFolder.ModeNames"/>; null takes the model's own way, else
    /// mean.</summary>
    public string? Pooling { get; init; }

    /// <summary>Whether a head that the base has is replaced by a new one, as for another number of labels.</summary>
    public bool NewHead { get; init; }

    /// <summary>What cosines are divided by in the contrastive loss.</summary>
    public double Temperature { get; init; } = 0.05;

    /// <summary>Share of tokens that are predicted.</summary>
    public double MaskShare { get; init; } = 0.15;

    /// <summary>Tokens that windows of a long context share.</summary>
    public int Stride { get; init; } = 128;

    /// <summary>Longest answer in tokens.</summary>
    public int MaxAnswerTokens { get; init; } = 30;
}

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

    /// <summary>"true": rows of a step compute equal beginnings once; "grouped": rows of one prompt also come together;
    /// "false".</summary>
    public string SharePrompts { get; init; } = "true";

    /// <summary>Most positions computed at once; null: micro-batches of <see cref="BatchSize"/> rows
    /// (causal_lm).</summary>
    public int? BatchTokens { get; init; }

    /// <summary>Peak learning rate; null takes <see cref="Recipe.DefaultLearningRate"/>. A recipe that was read always
    /// has one.</summary>
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

    /// <summary>Whether a resumable checkpoint is written every 10 minutes where <see cref="SaveEvery"/> is null;
    /// false: none.</summary>
    public bool SavesByTime { get; init; } = true;

    /// <summary>Checkpoints kept, besides the best one.</summary>
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>Steps in a row without a finite loss and gradient after which the run stops; single ones are
    /// skipped.</summary>
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
