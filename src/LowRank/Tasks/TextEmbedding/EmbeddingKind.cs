using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Models.Families;
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
        if (settings.Pooling == "cls" && FamilyRegistry.Get(config.ModelType) is DecoderFamily)
            throw new InputException($"task_options.pooling is cls, but the first token of a {config.ModelType} model sees no other; use mean.");
        return settings;
    }

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => 0;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) => new EmbeddingTask(model, tokenizer, settings);
}
