namespace LowRank.Data;

/// <summary>Rows padded on the right to the longest of them, flattened row after row.</summary>
/// <param name="InputIds">[rows · length]; padding is token 0, which the mask hides.</param>
/// <param name="Labels">[rows · length]; padding is -100.</param>
/// <param name="AttentionMask">[rows · length]; null when every position is a token.</param>
/// <param name="Length">Positions of a row.</param>
/// <param name="Tokens">Positions that are tokens.</param>
public sealed record Batch(long[] InputIds, long[] Labels, long[]? AttentionMask, int Length, long Tokens)
{
    /// <summary>Pads examples to a batch.</summary>
    public static Batch Pad(IReadOnlyList<TokenizedExample> examples)
    {
        int length = examples.Max(example => example.InputIds.Length);
        var ids = new long[examples.Count * length];
        var labels = new long[ids.Length];
        var mask = new long[ids.Length];
        Array.Fill(labels, TokenizedExample.Ignored);
        for (int row = 0; row < examples.Count; row++)
        {
            TokenizedExample example = examples[row];
            for (int i = 0; i < example.InputIds.Length; i++)
            {
                int at = row * length + i;
                ids[at] = example.InputIds[i];
                labels[at] = example.Labels[i];
                mask[at] = example.AttentionMask?[i] ?? 1;
            }
        }
        long tokens = mask.Sum();
        return new Batch(ids, labels, tokens == mask.Length ? null : mask, length, tokens);
    }
}
