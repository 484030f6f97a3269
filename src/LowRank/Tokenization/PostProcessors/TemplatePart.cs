namespace LowRank.Tokenization.PostProcessors;

/// <summary>A part of what a post-processor makes of texts: special tokens, or one of the texts.</summary>
/// <param name="Sequence">0 for the first text, 1 for the second, null for special tokens.</param>
/// <param name="Ids">The special tokens.</param>
/// <param name="Type">The type of its tokens.</param>
internal sealed record TemplatePart(int? Sequence, IReadOnlyList<int> Ids, int Type);
