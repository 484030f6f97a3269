namespace LowRank.Serving;

/// <summary>Guesses the next tokens from an earlier place of the text that ends alike (prompt lookup; arXiv 2304.04487
/// verifies such guesses as a batch).</summary>
internal static class PromptLookup
{
    /// <summary>Most tokens of a guess.</summary>
    public const int Most = 8;

    private const int LongestEnd = 4, ShortestEnd = 2, Window = 4096;

    /// <summary>The tokens that followed the last place that ends like the text; empty if there is none.</summary>
    /// <param name="tokens">The text.</param>
    /// <param name="most">Most tokens of the guess.</param>
    public static int[] Guess(List<int> tokens, int most)
    {
        ReadOnlySpan<int> text = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(tokens);
        text = text[Math.Max(0, text.Length - Window)..];
        for (int length = Math.Min(LongestEnd, text.Length - 1); length >= ShortestEnd; length--)
        {
            ReadOnlySpan<int> end = text[^length..];
            int at = text[..^1].LastIndexOf(end);
            if (at < 0) continue;
            ReadOnlySpan<int> next = text[(at + length)..];
            return next[..Math.Min(most, next.Length)].ToArray();
        }
        return [];
    }
}
