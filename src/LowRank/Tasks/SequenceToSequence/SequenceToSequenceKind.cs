using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Tokenization;

namespace LowRank.Tasks.SequenceToSequence;

/// <summary>Turning one text into another with an encoder and a decoder, such as T5.</summary>
/// <remarks>Rows: <c>{"prompt", "completion"}</c>; or <c>{"input_ids", "labels"}</c>.</remarks>
public sealed class SequenceToSequenceKind : ITaskKind
{
    /// <inheritdoc/>
    public string Name => "seq2seq";

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.LanguageModel;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = [];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family is T5;

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config) => settings;

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => 0;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) => new SequenceToSequenceTask(model, tokenizer, settings);
}
