using LowRank.Tokenizers;
namespace LowRank.Data;

/// <summary>Prompts and what follows them, in the ids that a model sees when it generates.</summary>
public static class PromptEncoding
{
    /// <summary>A text's ids, with the special tokens of the post-processor. What the text begins with is not added a
    /// second time.</summary>
    public static int[] Text(ITextTokenizer tokenizer, string text)
    {
        int[] ids = tokenizer.Encode(text, addSpecialTokens: true), begin = Beginning(tokenizer);
        return begin.Length > 0 && ids.AsSpan().StartsWith([.. begin, .. begin]) ? ids[begin.Length..] : ids;
    }

    /// <summary>Whether a text spells out what the tokenizer puts before every text, such as
    /// <c>&lt;s&gt;</c>.</summary>
    /// <returns>What it spells; null where it does not.</returns>
    public static string? SpelledBeginning(ITextTokenizer tokenizer, string text)
    {
        int[] begin = Beginning(tokenizer);
        return begin.Length > 0 && tokenizer.Decode(begin) is { Length: > 0 } spelled
            && text.StartsWith(spelled, StringComparison.Ordinal) ? spelled : null;
    }

    /// <summary>A prompt's ids: with the special tokens of the post-processor, but without an end-of-text token it
    /// adds, for the text goes on.</summary>
    public static int[] Prompt(ITextTokenizer tokenizer, string prompt)
    {
        int[] ids = Text(tokenizer, prompt);
        if (tokenizer.EosTokenId is not { } eos || ids.Length == 0 || ids[^1] != eos) return ids;
        // One that the prompt spells out itself is its own.
        int added = Trailing(ids, eos) - Trailing(tokenizer.Encode(prompt, addSpecialTokens: false), eos);
        return ids[..^Math.Max(0, added)];
    }

    /// <summary>The ids of a completion that follow the ids of its prompt.</summary>
    /// <remarks>Generation begins with exactly the prompt's ids. Where the whole text's ids begin with them, the rest
    /// is the completion. Where a token would span the boundary, the completion is tokenised by itself;
    /// sentencepiece-like tokenizers then put a space before it that is not in the text, which an anchor in front of it
    /// avoids.</remarks>
    public static int[] Completion(ITextTokenizer tokenizer, string prompt, int[] promptIds, string completion)
    {
        int[] whole = Prompt(tokenizer, prompt + completion);
        if (whole.Length > promptIds.Length && whole.AsSpan().StartsWith(promptIds)) return whole[promptIds.Length..];
        int[] alone = tokenizer.Encode(completion, addSpecialTokens: false);
        string expected = tokenizer.Decode(promptIds) + completion;
        if (tokenizer.Decode([.. promptIds, .. alone]) == expected) return alone;
        const string anchor = "\n";
        int[] before = tokenizer.Encode(anchor, addSpecialTokens: false),
            with = tokenizer.Encode(anchor + completion, addSpecialTokens: false);
        if (!with.AsSpan().StartsWith(before)) return alone;
        int[] anchored = with[before.Length..];
        return tokenizer.Decode([.. promptIds, .. anchored]) == expected ? anchored : alone;
    }

    /// <summary>Ids with the end-of-text token after them, where there is one and they do not end with it.</summary>
    internal static int[] Ended(ITextTokenizer tokenizer, int[] ids) =>
        tokenizer.EosTokenId is { } eos && (ids.Length == 0 || ids[^1] != eos) ? [.. ids, eos] : ids;

    // What stands before any text. It may be the very token that ends one (OPT).
    private static int[] Beginning(ITextTokenizer tokenizer)
    {
        const string any = "a";
        int[] ids = tokenizer.Encode(any, addSpecialTokens: true);
        int words = ids.AsSpan().IndexOf(tokenizer.Encode(any, addSpecialTokens: false));
        return words > 0 ? ids[..words] : [];
    }

    private static int Trailing(int[] ids, int id)
    {
        int count = 0;
        while (count < ids.Length && ids[^(count + 1)] == id) count++;
        return count;
    }
}
