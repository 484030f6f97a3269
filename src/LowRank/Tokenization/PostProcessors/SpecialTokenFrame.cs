namespace LowRank.Tokenization.PostProcessors;

/// <summary>What a post-processor adds to a text and to a pair of texts.</summary>
/// <param name="Single">The parts around a text.</param>
/// <param name="Pair">The parts around two texts; null where the post-processor says nothing of pairs.</param>
internal sealed record SpecialTokenFrame(IReadOnlyList<TemplatePart> Single, IReadOnlyList<TemplatePart>? Pair)
{
    /// <summary>No special tokens.</summary>
    public static SpecialTokenFrame None { get; } = new([new TemplatePart(0, [], 0)], null);

    /// <summary>Whether blanks at a token's edges are left out of its offsets.</summary>
    public bool TrimsOffsets { get; init; }

    /// <summary>Whether the blank before the first token was put there, so that it is not trimmed.</summary>
    public bool AddsPrefixSpace { get; init; }

    /// <summary>Special tokens before a single text.</summary>
    public IReadOnlyList<int> Before { get; } = [.. Single.TakeWhile(part => part.Sequence is null).SelectMany(part => part.Ids)];

    /// <summary>Special tokens after it.</summary>
    public IReadOnlyList<int> After { get; } = [.. Single.SkipWhile(part => part.Sequence is null).Where(part => part.Sequence is null).SelectMany(part => part.Ids)];

    /// <summary>A token's span without the blanks at its edges (tokenizers' process_offsets).</summary>
    /// <param name="span">The span.</param>
    /// <param name="token">The token, as the vocabulary has it.</param>
    /// <param name="isFirst">Whether it comes first: a blank that was put before it takes no place in the text.</param>
    public TokenSpan Trim(TokenSpan span, string token, bool isFirst)
    {
        static bool IsBlank(char c) => c == 'Ġ' || char.IsWhiteSpace(c);
        int leading = token.TakeWhile(IsBlank).Count(), trailing = token.Reverse().TakeWhile(IsBlank).Count();
        (int start, int end) = (span.Start, span.End);
        if (leading > 0)
        {
            if ((isFirst || start == 0) && AddsPrefixSpace) leading = Math.Max(leading - 1, 0);
            start = Math.Min(start + leading, end);
        }
        if (trailing > 0 && end >= trailing) end = Math.Max(end - trailing, start);
        return new TokenSpan(start, end);
    }

    /// <summary>The type of a second text that stands without special tokens.</summary>
    public int BareType { get; init; } = 1;

    /// <summary>Two texts without special tokens.</summary>
    public IReadOnlyList<TemplatePart> BarePair => [new TemplatePart(0, [], 0), new TemplatePart(1, [], BareType)];
}
