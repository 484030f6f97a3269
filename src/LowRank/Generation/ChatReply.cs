namespace LowRank.Generation;

/// <summary>What the assistant answered.</summary>
/// <param name="Text">Its words, without special tokens.</param>
/// <param name="Tokens">Its tokens, without the stop token.</param>
/// <param name="PromptTokens">Tokens of the conversation before it.</param>
/// <param name="ReusedTokens">How many of those were not computed again.</param>
/// <param name="End">Why it ended.</param>
public sealed record ChatReply(string Text, IReadOnlyList<int> Tokens, int PromptTokens, int ReusedTokens, ReplyEnd End);
