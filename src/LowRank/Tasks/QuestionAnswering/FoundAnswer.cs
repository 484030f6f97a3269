namespace LowRank.Tasks.QuestionAnswering;

/// <summary>The answer that a model finds.</summary>
/// <param name="Question">The row.</param>
/// <param name="Text">The text; empty for no answer.</param>
/// <param name="Start">Where it begins in the context, in UTF-16 units; in tokens for rows of tokens.</param>
/// <param name="End">Where it ends, that not included.</param>
/// <param name="Score">Sum of the two scores.</param>
/// <param name="Probability">The product of the two positions' probabilities in their window.</param>
internal sealed record FoundAnswer(AskedQuestion Question, string Text, int Start, int End, double Score, double Probability);
