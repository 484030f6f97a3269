using LowRank.Data;

namespace LowRank.Tasks.QuestionAnswering;

/// <summary>A question about a context, whose windows share it.</summary>
/// <param name="Context">The text that holds the answer; empty for rows of tokens.</param>
/// <param name="Answers">The answers of the data, any of which is right; empty where there is none.</param>
/// <param name="Place">The row.</param>
public sealed record AskedQuestion(string Context, IReadOnlyList<string> Answers, DataPlace? Place);
