namespace LowRank.Tasks;

/// <summary>A text, or a pair of texts, as an encoder takes it.</summary>
/// <param name="Ids">Token ids.</param>
/// <param name="Types">0 for the first text and 1 for the second; null for 0 everywhere.</param>
/// <param name="Mask">1 for tokens and 0 for padding inside the row; null when there is none.</param>
public sealed record TextInput(int[] Ids, int[]? Types = null, int[]? Mask = null)
{
    /// <summary>Tokens, padding included.</summary>
    public int Length => Ids.Length;

    /// <summary>Tokens, padding left out.</summary>
    public int Tokens => Mask is null ? Ids.Length : Mask.Count(mask => mask != 0);
}
