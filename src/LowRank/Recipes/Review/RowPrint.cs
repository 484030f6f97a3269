using System.Runtime.InteropServices;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Tokenization;

namespace LowRank.Recipes.Review;

/// <summary>What a row is known by again.</summary>
/// <param name="Exact">Its tokens, and which of them are learned.</param>
/// <param name="Normalized">The letters and digits of its text.</param>
/// <param name="Prompt">Those of what stands before the first learned token; null where nothing does.</param>
internal sealed record RowPrint(UInt128 Exact, UInt128 Normalized, UInt128? Prompt)
{
    private const int ShortestPrompt = 8; // letters: a mark that every conversation begins with is no prompt

    public static RowPrint Of(TokenizedExample row, ITextTokenizer? tokenizer)
    {
        UInt128 exact = RowIdentity.Hash([.. MemoryMarshal.AsBytes<int>(row.InputIds), .. MemoryMarshal.AsBytes<int>(row.Labels)]);
        if (tokenizer is null) return new RowPrint(exact, exact, null);
        int first = Array.FindIndex(row.Labels, 1, label => label != TokenizedExample.Ignored);
        string prompt = first > 1 ? RowIdentity.Plain(tokenizer.Decode(row.InputIds[..first])) : "";
        return new RowPrint(exact, RowIdentity.Hash(RowIdentity.Plain(tokenizer.Decode(row.InputIds))), prompt.Length >= ShortestPrompt ? RowIdentity.Hash(prompt) : null);
    }
}
