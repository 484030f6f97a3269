using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Tokenization;

namespace LowRank.Tasks.MaskedLanguageModel;

/// <summary>Predicting masked tokens, to adapt an encoder to a domain (arXiv 1810.04805, 2004.10964).</summary>
/// <remarks>Rows: <c>{"text"}</c>; or <c>{"input_ids", "labels"}</c> with masks already set. To predict, the text holds the
/// tokenizer's mask token.</remarks>
public sealed class MaskedLanguageModelKind : ITaskKind
{
    /// <inheritdoc/>
    public string Name => "masked_lm";

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.LanguageModel;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = ["mask_share"];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family is EncoderFamily;

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config) => settings;

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => 0;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) => new MaskedLanguageModelTask(model, tokenizer, settings);
}
