using LowRank.Data;
using LowRank.Tokenization;

namespace LowRank.Tasks.QuestionAnswering;

/// <summary>A question with a part of its context.</summary>
/// <param name="Input">Question and part.</param>
/// <param name="Start">The answer's first token; 0 ([CLS]) where the part does not hold the answer; null when not known.</param>
/// <param name="End">Its last token.</param>
/// <param name="Spans">Where each token stands in the context; null for tokens outside it, and null for rows of tokens.</param>
/// <param name="Question">The row it belongs to.</param>
public sealed record AnswerWindow(TextInput Input, int? Start, int? End, TokenSpan?[]? Spans, AskedQuestion Question) : IExample
{
    /// <inheritdoc/>
    public int Length => Input.Length;

    /// <inheritdoc/>
    public int Tokens => Input.Tokens;

    /// <inheritdoc/>
    public int PredictedLabels => Start is null ? 0 : 1;

    /// <inheritdoc/>
    public DataPlace? Place => Question.Place;
}
