namespace LowRank.Tokenization;

/// <summary>The tokens of one text, before special tokens.</summary>
/// <param name="Ids">Token ids.</param>
/// <param name="Spans">Where each stands in the text.</param>
internal sealed record EncodedText(int[] Ids, TokenSpan[] Spans)
{
    public int Length => Ids.Length;

    public EncodedText Part(int start, int end) => new(Ids[start..end], Spans[start..end]);
}
