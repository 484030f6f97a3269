using System.Runtime.InteropServices;

namespace LowRank.Data.Packing;

/// <summary>Rows are equal when they have the same prompt: the tokens before the first that is learned. A row without one equals
/// no other.</summary>
internal sealed class PromptComparer : IEqualityComparer<TokenizedExample>
{
    public static PromptComparer Instance { get; } = new();

    public bool Equals(TokenizedExample? x, TokenizedExample? y)
    {
        if (ReferenceEquals(x, y)) return true;
        return x is not null && y is not null && Prompt(x) is { Length: > 0 } prompt && prompt.SequenceEqual(Prompt(y));
    }

    public int GetHashCode(TokenizedExample obj)
    {
        var hash = new HashCode();
        hash.AddBytes(MemoryMarshal.AsBytes(Prompt(obj)));
        return hash.ToHashCode();
    }

    private static ReadOnlySpan<int> Prompt(TokenizedExample row) =>
        row.InputIds.AsSpan(0, Math.Max(0, Array.FindIndex(row.Labels, label => label != TokenizedExample.Ignored)));
}
