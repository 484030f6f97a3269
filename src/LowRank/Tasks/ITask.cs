using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Data.Rows;
using LowRank.Data.Stored;
using LowRank.Data.Streaming;
using LowRank.Models;
using LowRank.Models.Sentences;
using LowRank.Tasks.QuestionAnswering;
using LowRank.Tasks.SequenceClassification;
using LowRank.Tasks.TextEmbedding;
using LowRank.Tasks.TokenClassification;
using LowRank.Tokenizers;
using LowRank.Training;

namespace LowRank.Tasks;

/// <summary>A task on a model: reads its rows, gives its loss and metrics, and answers.</summary>
public interface ITask : IObjective
{
    /// <summary>Reads rows with their labels.</summary>
    /// <param name="source">The rows.</param>
    /// <exception cref="InputException">Rows that cannot be used: all are counted, the first ten problems shown. Or no
    /// row is left.</exception>
    TaskData Read(RowSource source);

    /// <summary>Reads rows of files.</summary>
    /// <inheritdoc cref="Read(RowSource)"/>
    TaskData Read(IReadOnlyList<string> files) => Read(RowSource.Of(files));

    /// <summary>Answers rows, labelled or not.</summary>
    /// <param name="source">The rows.</param>
    /// <param name="batchSize">Rows computed together.</param>
    /// <param name="notes">Receives what the user has to know of the rows, such as texts that are cut, a sentence each,
    /// before the first answer; null for nobody.</param>
    /// <returns>An object for each row in their order: the row's own fields are not repeated.</returns>
    /// <exception cref="InputException">Rows that cannot be used, all at once; nothing is computed then.</exception>
    IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<string>? notes = null);

    /// <summary>What is kept beside an adapter; null where PEFT's config says it all.</summary>
    AdapterTask? Describe();
}

/// <summary>A task that models are adapted to, listed in <see cref="TaskRegistry"/>.</summary>
public interface ITaskKind
{
    /// <summary>The recipe's word for it, such as sequence_classification.</summary>
    string Name { get; }

    /// <summary>The head that a model is opened with.</summary>
    HeadKind Head { get; }

    /// <summary>The keys of the recipe's <c>task_options</c> that have an effect.</summary>
    IReadOnlyList<string> Options { get; }

    /// <summary>Whether a family's models can be adapted to it.</summary>
    bool Fits(Models.Families.IModelFamily family);

    /// <summary>Fills in what follows from the data and the base: labels above all.</summary>
    /// <param name="settings">What the user gave.</param>
    /// <param name="data">The data to train on.</param>
    /// <param name="config">The base's config.</param>
    /// <exception cref="InputException">The data does not tell.</exception>
    TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config);

    /// <summary>Scores that the head gives.</summary>
    int HeadSize(TaskSettings settings);

    /// <summary>Puts the task on a model.</summary>
    /// <param name="model">Opened with <see cref="Head"/> and <see cref="HeadSize"/>.</param>
    /// <param name="tokenizer">The model's; null allows rows of tokens only.</param>
    /// <param name="settings">Completed.</param>
    ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings);
}

/// <summary>A task that answers with text.</summary>
public interface IGeneratingTask : ITask
{
    /// <summary>What became of the texts so far, a sentence each, such as that the model's context ended
    /// some.</summary>
    IReadOnlyList<string> GenerationNotes => [];

    /// <summary>Continues, or turns, the prompt of each row; the likeliest token each time.</summary>
    /// <param name="samples">Rows with "prompt".</param>
    /// <param name="batchSize">Rows computed together.</param>
    /// <param name="maxNewTokens">Most tokens of a text.</param>
    IEnumerable<string> Generate(IReadOnlyList<Sample> samples, int batchSize, int maxNewTokens);
}

/// <summary>A task whose examples can be made as training asks for them.</summary>
public interface IStreamingTask : ITask
{
    /// <summary>Examples of files of any size.</summary>
    /// <param name="sources">One, or as many as weights.</param>
    /// <param name="options">How rows are drawn.</param>
    /// <param name="count">How many examples the run takes.</param>
    StreamedExamples Stream(IReadOnlyList<RowSource> sources, StreamOptions options, int count);
}

/// <summary>A task's examples.</summary>
/// <param name="Examples">In the order of the data.</param>
/// <param name="Warnings">What the user has to know, a sentence each.</param>
public sealed record TaskData(IReadOnlyList<IExample> Examples, IReadOnlyList<string> Warnings)
{
    /// <summary>Whether a row is a conversation.</summary>
    public bool HasConversations { get; init; }
}

/// <summary>The settings of a task; each task reads those it knows.</summary>
public sealed record TaskSettings
{
    /// <summary>The labels in the order of their numbers; null takes them from the base or the data.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>How the labels of the data were read, a sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>transformers' problem_type of sequence classification: single_label_classification,
    /// multi_label_classification or regression; null lets the data tell.</summary>
    public string? Problem { get; init; }

    /// <summary>How states become an embedding, one of <see cref="SentenceFolder.ModeNames"/>; null takes the model's
    /// own way, else the mean over the text's tokens.</summary>
    public string? Pooling { get; init; }

    /// <summary>How texts become embeddings, as an adapter's folder says; null takes what the model's says.</summary>
    public SentencePipeline? Sentence { get; init; }

    /// <summary>The name of the model's prompt that stands before each text to embed; null takes its default.</summary>
    public string? Prompt { get; init; }

    /// <summary>Whether a head that the base has is replaced by a new one.</summary>
    public bool NewHead { get; init; }

    /// <summary>What cosines are divided by in the contrastive loss (InfoNCE, arXiv 1807.03748).</summary>
    public double Temperature { get; init; } = 0.05;

    /// <summary>Share of tokens predicted in masked language modelling (arXiv 1810.04805, section 3.1).</summary>
    public double MaskShare { get; init; } = 0.15;

    /// <summary>Tokens that windows of a long text share in question answering.</summary>
    public int Stride { get; init; } = 128;

    /// <summary>Longest answer in tokens.</summary>
    public int MaxAnswerTokens { get; init; } = 30;

    /// <summary>Longest text in tokens.</summary>
    public int MaxLength { get; init; } = 512;

    /// <summary>Whether the user asked for <see cref="MaxLength"/>; otherwise an embedding model's own length goes
    /// before it.</summary>
    public bool IsMaxLengthGiven { get; init; }

    /// <summary>What the user has to know of <see cref="MaxLength"/> with a model: that it has fewer positions; null
    /// for nothing.</summary>
    public string? LengthNote(INetwork network) => MaxLength <= network.MaxPositions ? null
        : $"max_length {MaxLength} is lowered to {network.MaxPositions}: the model has no more positions";

    /// <summary>Most tokens of a generated text.</summary>
    public int MaxNewTokens { get; init; } = 128;

    /// <summary>What is learned of prompts and conversations (causal_lm).</summary>
    public TrainOn TrainOn { get; init; } = TrainOn.Completion;

    /// <summary>How rows become batches (causal_lm).</summary>
    public RowBatching Batching { get; init; } = new();

    /// <summary>Where tokenised data is kept (causal_lm); null holds it in memory.</summary>
    public ExampleCache? Cache { get; init; }

    /// <summary>Seed of what is drawn in evaluation.</summary>
    public long Seed { get; init; } = 42;
}

/// <summary>All tasks: those of this library in one list, and those that a program registers.</summary>
public static class TaskRegistry
{
    /// <summary>The task of a recipe that names none.</summary>
    public const string Default = "causal_lm";

    private static readonly Registry<ITaskKind> Tasks = new("task", task => task.Name,
    [
        new CausalLanguageModelKind(), new EmbeddingKind(), new MaskedLanguageModelKind(), new QuestionAnsweringKind(),
        new SequenceClassificationKind(), new SequenceToSequenceKind(), new TokenClassificationKind(),
    ]);

    /// <summary>The names, sorted.</summary>
    public static IReadOnlyList<string> Names => Tasks.Names;

    /// <summary>Adds a task of your own, for every recipe that is read and model that is opened afterwards; from any
    /// thread.</summary>
    /// <exception cref="ArgumentException">Its name is taken; tasks are not replaced.</exception>
    public static void Register(ITaskKind task) => Tasks.Register(task);

    /// <summary>The task of a name.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public static ITaskKind Get(string name) => Tasks.Find(name)
        ?? throw new InputException($"There is no task \"{name}\"; expected one of {string.Join(", ", Names)}.");
}
