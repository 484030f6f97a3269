namespace LowRank.Tokenization;

/// <summary>A text, or a pair of texts, as a model sees it; lists of equal length.</summary>
/// <param name="Ids">Token ids, special tokens included.</param>
/// <param name="TypeIds">The post-processor's type of each token: 0 for the first text and, for BERT's kind, 1 for the second.</param>
/// <param name="AttentionMask">1 for tokens, 0 for padding.</param>
/// <param name="SpecialTokens">Whether a token was added by the post-processor or is padding.</param>
/// <param name="Offsets">Where each token stands in the text that it comes from; (0, 0) for special tokens.</param>
/// <param name="Sequences">0 for the first text, 1 for the second, -1 for special tokens.</param>
public sealed record TokenEncoding(int[] Ids, int[] TypeIds, int[] AttentionMask, bool[] SpecialTokens, TokenSpan[] Offsets, int[] Sequences);
