namespace LowRank.Data;

/// <summary>A row of data as the model sees it.</summary>
/// <param name="InputIds">Token ids.</param>
/// <param name="Labels">For each token its own id where it is learned, else -100; the loss shifts by one, so the first
/// label is never predicted.</param>
/// <param name="AttentionMask">1 for tokens and 0 for padding inside the row; null when there is none.</param>
/// <param name="Place">The row it was made from; null when it comes from no file.</param>
public sealed record TokenizedExample(int[] InputIds, int[] Labels, int[]? AttentionMask = null, DataPlace? Place = null) : IExample
{
    /// <summary>The label that is not learned, as transformers marks it.</summary>
    public const int Ignored = -100;

    /// <inheritdoc/>
    public int Length => InputIds.Length;

    /// <inheritdoc/>
    public int Tokens => AttentionMask is null ? InputIds.Length : AttentionMask.Count(mask => mask != 0);

    /// <summary>Whether every position is a token.</summary>
    public bool IsWhole => AttentionMask is null || !AttentionMask.Contains(0);

    /// <inheritdoc/>
    public int PredictedLabels => Labels.Skip(1).Count(label => label != Ignored);
}
