using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Tokenization;

namespace LowRank.Tasks.QuestionAnswering;

/// <summary>Finding the answer to a question in a text (SQuAD, arXiv 1606.05250; without an answer, arXiv 1806.03822).</summary>
/// <remarks>Rows: <c>{"question", "context", "answers": {"text": […], "answer_start": […]}}</c>, as SQuAD's; both lists empty
/// where the context does not answer. Or <c>{"input_ids", "start_position", "end_position"}</c>.</remarks>
public sealed class QuestionAnsweringKind : ITaskKind
{
    /// <inheritdoc/>
    public string Name => "question_answering";

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.QuestionAnswering;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = ["stride", "max_answer_tokens"];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family.Heads.Contains(Head);

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config) => settings;

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => 2;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) => new QuestionAnsweringTask(model, tokenizer, settings);
}
