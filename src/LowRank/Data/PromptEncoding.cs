using LowRank.Tokenizers;
namespace LowRank.Data;

/// <summary>Encodes prompts and completions as the ids that a model sees in generation.</summary>
public static class PromptEncoding
{
    /// <summary>The ids of a text, with the special tokens of the post-processor, but without a token that the text
    /// already begins with.</summary>
    public static int[] Text(ITextTokenizer tokenizer, string text)
    {
        int[] ids = tokenizer.Encode(text, addSpecialTokens: true), begin = Beginning(tokenizer);
        return begin.Length > 0 && ids.AsSpan().StartsWith([.. begin, .. begin]) ? ids[begin.Length..] : ids;
    }

    /// <summary>Whether a text already begins with the token that the tokenizer puts before every text, such as
    /// <c>&lt;s&gt;</c>.</summary>
    /// <returns>The token's text; null if the text does not begin with it.</returns>
    public static string? SpelledBeginning(ITextTokenizer tokenizer, string text)
    {
        int[] begin = Beginning(tokenizer);
        return begin.Length > 0 && tokenizer.Decode(begin) is { Length: > 0 } spelled
            && text.StartsWith(spelled, StringComparison.Ordinal) ? spelled : null;
    }

    /// <summary>The ids of a prompt, with the special tokens of the post-processor but without an added end-of-text
    /// token, because the text continues.</summary>
    public static int[] Prompt(ITextTokenizer tokenizer, string prompt)
    {
        int[] ids = Text(tokenizer, prompt);
        if (tokenizer.EosTokenId is not { } eos || ids.Length == 0 || ids[^1] != eos) return ids;
        // Keeps a token that is part of the prompt itself.
        int added = Trailing(ids, eos) - Trailing(tokenizer.Encode(prompt, addSpecialTokens: false), eos);
        return ids[..^Math.Max(0, added)];
    }

    /// <summary>The ids of a completion after the ids of its prompt.</summary>
    /// <remarks>Generation starts from exactly the prompt's ids. If the ids of the whole text begin with them, the rest
    /// is the completion. If a token would span the boundary, the completion is tokenised separately.
    /// Sentencepiece-like tokenizers would then add a space that is not in the text; an anchor in front of the
    /// completion avoids it.</remarks>
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

    /// <summary>Appends the end-of-text token, if there is one and the ids do not already end with it.</summary>
    internal static int[] Ended(ITextTokenizer tokenizer, int[] ids) =>
        tokenizer.EosTokenId is { } eos && (ids.Length == 0 || ids[^1] != eos) ? [.. ids, eos] : ids;

    // The tokens before any text. They may include the token that also ends a text (OPT).
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
