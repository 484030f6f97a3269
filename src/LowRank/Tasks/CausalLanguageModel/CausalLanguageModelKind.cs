using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Tokenization;

namespace LowRank.Tasks.CausalLanguageModel;

/// <summary>Predicting the next token with a decoder: texts, completions of prompts, conversations.</summary>
/// <remarks>Rows: see <see cref="Data.ExampleLoader"/>.</remarks>
public sealed class CausalLanguageModelKind : ITaskKind
{
    /// <inheritdoc/>
    public string Name => TaskRegistry.Default;

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.LanguageModel;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = [];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family is DecoderFamily;

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config) => settings;

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => 0;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) => new CausalLanguageModelTask(model, tokenizer, settings);
}
