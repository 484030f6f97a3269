using LowRank.Tokenizers;
namespace LowRank.Data.Chat;

/// <summary>Maps spans of a text to its tokens.</summary>
internal static class TrainedTokens
{
    /// <summary>For each token, whether it contains a character of a span.</summary>
    /// <param name="tokenizer">The tokenizer that made the ids, without special tokens.</param>
    /// <param name="text">The text.</param>
    /// <param name="ids">Its ids.</param>
    /// <param name="spans">Start and length in UTF-16 characters, in text order, without overlaps.</param>
    public static bool[] Find(
        ITextTokenizer tokenizer, string text, int[] ids, IReadOnlyList<(int Start, int Length)> spans) =>
        BySegments(tokenizer, text, ids, spans) ?? ByBoundaries(tokenizer, text, ids, spans);

    /// <summary>Tokenizes each span and the text between them separately: exact if that gives the ids of the whole
    /// text.</summary>
    private static bool[]? BySegments(
        ITextTokenizer tokenizer, string text, int[] ids, IReadOnlyList<(int Start, int Length)> spans)
    {
        var trained = new bool[ids.Length];
        int at = 0, position = 0;
        bool Take(int end, bool isTrained)
        {
            if (position == end) return true;
            int[] part = tokenizer.Encode(text[position..end], addSpecialTokens: false);
            if (!ids.AsSpan(at).StartsWith(part)) return false;
            trained.AsSpan(at, part.Length).Fill(isTrained);
            (at, position) = (at + part.Length, end);
            return true;
        }
        foreach ((int start, int length) in spans)
            if (!Take(start, false) || !Take(start + length, true)) return null;
        return Take(text.Length, false) && at == ids.Length ? trained : null;
    }

    private static bool[] ByBoundaries(
        ITextTokenizer tokenizer, string text, int[] ids, IReadOnlyList<(int Start, int Length)> spans)
    {
        var trained = new bool[ids.Length];
        string decoded = tokenizer.Decode(ids);
        foreach ((int start, int length) in spans.Where(span => span.Length > 0))
        {
            (int first, _) = CountBefore(tokenizer, text, ids, decoded, start);
            (int last, bool goesOn) = CountBefore(tokenizer, text, ids, decoded, start + length);
            trained.AsSpan(first, last - first + (goesOn ? 1 : 0)).Fill(true);
        }
        return trained;
    }

    /// <summary>The number of tokens that lie entirely before a position in the text, and whether the next one begins
    /// before it.</summary>
    /// <remarks>Comparing the ids of the texts before and after the position with those of the whole leaves few tokens
    /// in doubt. The length of their decoded text decides. The position too is measured in decoded characters, because
    /// normalizers may have changed their number.</remarks>
    private static (int Count, bool GoesOn) CountBefore(
        ITextTokenizer tokenizer, string text, int[] ids, string decoded, int position)
    {
        int[] before = tokenizer.Encode(text[..position], addSpecialTokens: false),
            after = tokenizer.Encode(text[position..], addSpecialTokens: false);
        int decodedPosition = tokenizer.Decode(before).Length;
        int low = ids.AsSpan().CommonPrefixLength(before);
        int shared = 0;
        while (shared < Math.Min(after.Length, ids.Length - low) && after[^(shared + 1)] == ids[^(shared + 1)])
            shared++;
        int high = ids.Length - shared;
        while (low < high)
        {
            int middle = low + (high - low) / 2;
            (int whole, bool part) = Covered(tokenizer, decoded, ids, middle + 1);
            if (whole + (part ? 1 : 0) <= decodedPosition) low = middle + 1;
            else high = middle;
        }
        return (low, low < ids.Length && Covered(tokenizer, decoded, ids, low).Whole < decodedPosition);
    }

    /// <summary>The number of complete characters in the first tokens, and whether they contain part of the next
    /// one.</summary>
    private static (int Whole, bool Part) Covered(ITextTokenizer tokenizer, string decoded, int[] ids, int count)
    {
        string held = tokenizer.Decode(ids.AsSpan(0, count).ToArray());
        if (decoded.StartsWith(held, StringComparison.Ordinal)) return (held.Length, false);
        return (held.TrimEnd('\uFFFD').Length, true);
    }
}
