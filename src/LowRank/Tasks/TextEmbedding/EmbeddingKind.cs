using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Models.Sentences;
using LowRank.Tokenization;

namespace LowRank.Tasks.TextEmbedding;

/// <summary>Vectors of texts that lie close where the texts belong together, learned from pairs (Sentence-BERT,
/// arXiv 1908.10084).</summary>
/// <remarks>Rows: <c>{"text", "positive"[, "negative"]}</c>; or <c>{"input_ids", "positive_input_ids"}</c>. To predict:
/// <c>{"text"}</c>.</remarks>
public sealed class EmbeddingKind : ITaskKind
{
    /// <inheritdoc/>
    public string Name => "embedding";

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.None;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = ["pooling", "temperature"];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family.Heads.Contains(Head);

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config)
    {
        if (settings.Pooling?.StartsWith("cls", StringComparison.Ordinal) == true && FamilyRegistry.Get(config.ModelType) is DecoderFamily)
            throw new InputException($"task_options.pooling is cls, but the first token of a {config.ModelType} model sees no other; use mean or lasttoken.");
        return settings;
    }

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => 0;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) => new EmbeddingTask(model, tokenizer, settings);

    /// <summary>How texts become vectors: as the adapter says, else the folder of sentence-transformers; pooling that the user names goes first.</summary>
    internal static SentencePipeline Pipeline(PretrainedModel model, TaskSettings settings)
    {
        int width = model.Network switch
        {
            Encoder encoder => encoder.Shape.HiddenSize,
            Decoder decoder => decoder.Shape.HiddenSize,
            _ => throw new InputException($"{model.Folder} is a {model.Config.ModelType} model, which turns one text into another. Embeddings need an encoder or a decoder."),
        };
        SentencePipeline? own = settings.Sentence ?? SentenceFolder.Read(model.Folder);
        if (own is not null && own.Width != width)
            throw new InputException($"{model.Folder}: its files of sentence-transformers pool states of {own.Width} numbers, and the model's have {width}. Check that they belong to this model.");
        Pooling? mode = settings.Pooling is { } name ? SentenceFolder.Mode(name) : null;
        return own is null ? SentencePipeline.Plain(width, mode ?? Pooling.Mean) : mode is null ? own : own with { Modes = [mode.Value] };
    }
}
