using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Data.Rows;
using LowRank.Data.Stored;
using LowRank.Data.Streaming;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Models.Sentences;
using LowRank.Tokenizers;
using LowRank.Training;
using LowRank.Training.Preferences;

namespace LowRank.Tasks;

/// <summary>A task on a model: reads its rows, computes its loss and metrics, and predicts.</summary>
public interface ITask : IObjective
{
    /// <summary>Reads rows with their labels.</summary>
    /// <param name="source">The rows.</param>
    /// <exception cref="InputException">Some rows cannot be used (all are counted, and the first ten problems are
    /// shown), or no row is left.</exception>
    TaskData Read(RowSource source);

    /// <summary>Reads rows of files.</summary>
    /// <inheritdoc cref="Read(RowSource)"/>
    TaskData Read(IReadOnlyList<string> files) => Read(RowSource.From(files));

    /// <summary>Predicts for rows, labelled or not.</summary>
    /// <param name="source">The rows.</param>
    /// <param name="batchSize">Rows per batch.</param>
    /// <param name="notes">Receives notes about the rows, such as cut texts, one sentence each, before the first
    /// answer; may be null.</param>
    /// <returns>One object per row, in order, without the row's own fields.</returns>
    /// <exception cref="InputException">Some rows cannot be used; lists all of them before computing
    /// anything.</exception>
    IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<Words>? notes = null);

    /// <summary>The data saved beside an adapter; null if PEFT's config contains everything.</summary>
    AdapterTask? Describe();
}

/// <summary>A kind of task, listed in <see cref="TaskRegistry"/>.</summary>
public interface ITaskKind
{
    /// <summary>The name in recipes, such as sequence_classification.</summary>
    string Name { get; }

    /// <summary>The head with which to open a model.</summary>
    HeadKind Head { get; }

    /// <summary>The keys of the recipe's <c>task_options</c> that have an effect.</summary>
    IReadOnlyList<string> Options { get; }

    /// <summary>Whether models of a family can be adapted to the task.</summary>
    bool Fits(Models.IModelFamily family);

    /// <summary>Fills in settings that follow from the data and the base, especially labels.</summary>
    /// <param name="settings">The user's settings.</param>
    /// <param name="data">The training data.</param>
    /// <param name="config">The base's config.</param>
    /// <exception cref="InputException">The data does not determine them.</exception>
    TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config);

    /// <summary>Number of scores that the head computes.</summary>
    int HeadSize(TaskSettings settings);

    /// <summary>Creates the task for a model.</summary>
    /// <param name="model">The model, opened with <see cref="Head"/> and <see cref="HeadSize"/>.</param>
    /// <param name="tokenizer">The model's tokenizer; null allows only tokenised rows.</param>
    /// <param name="settings">The completed settings.</param>
    ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings);
}

/// <summary>A task that generates text.</summary>
public interface IGeneratingTask : ITask
{
    /// <summary>Notes about the texts so far, one sentence each, such as texts that the model's context cut
    /// off.</summary>
    IReadOnlyList<Words> GenerationNotes => [];

    /// <summary>Continues or transforms the prompt of each row.</summary>
    /// <param name="prompted">Rows with "prompt".</param>
    /// <param name="batchSize">Rows per batch.</param>
    /// <param name="options">How tokens are chosen; the model's own stop tokens are added.</param>
    /// <param name="cancellation">Stops after the current token.</param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    IEnumerable<string> Generate(
        IReadOnlyList<Row> prompted, int batchSize, GenerationOptions options,
        CancellationToken cancellation = default);
}

/// <summary>A task whose examples can be created on demand.</summary>
internal interface IStreamingTask : ITask
{
    /// <summary>Streams examples from files of any size.</summary>
    /// <param name="sources">One source, or as many as weights.</param>
    /// <param name="options">How to draw rows.</param>
    /// <param name="count">The number of examples that the run takes.</param>
    StreamedExamples Stream(IReadOnlyList<RowSource> sources, StreamOptions options, int count);
}

/// <summary>A task's examples.</summary>
/// <param name="Examples">The examples, in the order of the data.</param>
/// <param name="Warnings">Notes for the user, one sentence each.</param>
public sealed record TaskData(IReadOnlyList<IExample> Examples, IReadOnlyList<Words> Warnings)
{
    /// <summary>Whether a row is a conversation.</summary>
    public bool HasConversations { get; init; }
}

/// <summary>The settings of tasks; each task uses those it knows.</summary>
public sealed record TaskSettings
{
    /// <summary>The label names, in the order of their numbers; null takes them from the base or the data.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>How the labels of the data were read, one sentence each.</summary>
    public IReadOnlyList<Words> Notes { get; init; } = [];

    /// <summary>transformers' problem_type of sequence classification: single_label_classification,
    /// multi_label_classification or regression; null to detect it from the data.</summary>
    public string? Problem { get; init; }

    /// <summary>The pooling of an embedding, one of <see cref="SentenceFolder.ModeNames"/>; null for the model's own
    /// pooling, else the mean over the text's tokens.</summary>
    public string? Pooling { get; init; }

    /// <summary>The embedding pipeline from an adapter's folder; null for the model's.</summary>
    internal SentencePipeline? Sentence { get; init; }

    /// <summary>The name of the model's prompt to put before each text to embed; null for its default.</summary>
    public string? Prompt { get; init; }

    /// <summary>Whether to replace an existing head by a new one.</summary>
    public bool NewHead { get; init; }

    /// <summary>The divisor of the cosines in the contrastive loss (InfoNCE, arXiv 1807.03748).</summary>
    public double Temperature { get; init; } = 0.05;

    /// <summary>The share of tokens to predict in masked language modelling (arXiv 1810.04805, section 3.1).</summary>
    public double MaskShare { get; init; } = 0.15;

    /// <summary>The factor of the squared sum of a pair's scores in the loss of reward models, which keeps their mean
    /// near 0 (arXiv 2312.09244); 0 for none.</summary>
    public double CenterRewardsCoefficient { get; init; }

    /// <summary>The overlap, in tokens, of the windows of a long text in question answering.</summary>
    public int Stride { get; init; } = 128;

    /// <summary>Maximum answer length in tokens.</summary>
    public int MaxAnswerTokens { get; init; } = 30;

    /// <summary>Maximum text length in tokens.</summary>
    public int MaxLength { get; init; } = 512;

    /// <summary>Whether the user or an adapter's training set <see cref="MaxLength"/>; otherwise an embedding model's
    /// own length takes precedence.</summary>
    public bool IsMaxLengthGiven { get; init; }

    /// <summary>The settings with a maximum length that the user gave; unchanged without one.</summary>
    public TaskSettings WithMaxLength(int? given) =>
        given is { } length ? this with { MaxLength = length, IsMaxLengthGiven = true } : this;

    /// <summary>A note if a model has fewer positions than <see cref="MaxLength"/>; otherwise null.</summary>
    public Words? LengthNote(INetwork network) => MaxLength <= network.MaxPositions ? null
        : Words.Of(
            $"{KnownSettings.MaxLength} {MaxLength} is lowered to {network.MaxPositions}, the number of positions of " +
            $"the model");

    /// <summary>Maximum number of tokens per generated text.</summary>
    public int MaxNewTokens { get; init; } = 128;

    /// <summary>Which part of prompts and conversations is learned (causal_lm).</summary>
    public TrainOn TrainOn { get; init; } = TrainOn.Completion;

    /// <summary>How rows become batches (causal_lm).</summary>
    internal RowBatching Batching { get; init; } = new();

    /// <summary>The cache for tokenised data (causal_lm); null keeps it in memory.</summary>
    internal ExampleCache? Cache { get; init; }

    /// <summary>The preferences to learn (causal_lm); null learns texts.</summary>
    internal PreferenceSettings? Preference { get; init; }

    /// <summary>Random seed for evaluation.</summary>
    public long Seed { get; init; } = 42;
}

/// <summary>All tasks: the built-in ones and those that a program registers.</summary>
public static class TaskRegistry
{
    /// <summary>The default task of a recipe.</summary>
    public const string Default = "causal_lm";

    private static readonly Registry<ITaskKind> Tasks = new("task", task => task.Name,
    [
        new CausalLanguageModelKind(), new EmbeddingKind(), new MaskedLanguageModelKind(), new QuestionAnsweringKind(),
            new RewardKind(),
        new SequenceClassificationKind(), new SequenceToSequenceKind(), new TokenClassificationKind(),
    ]);

    /// <summary>The names, sorted.</summary>
    public static IReadOnlyList<string> Names => Tasks.Names;

    /// <summary>Registers your own task for all recipes read and models opened from now on. Thread-safe.</summary>
    /// <exception cref="ArgumentException">The name is already registered; tasks cannot be replaced.</exception>
    public static void Register(ITaskKind task) => Tasks.Register(task);

    /// <summary>The task with a name.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public static ITaskKind Get(string name) => Tasks.Find(name)
        ?? throw new InputException($"There is no task \"{name}\"; expected one of {string.Join(", ", Names)}.");
}
