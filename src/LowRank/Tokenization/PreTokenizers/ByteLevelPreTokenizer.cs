namespace LowRank.Tokenization.PreTokenizers;

/// <summary>Splits by GPT-2's pattern, if asked to, and has the model see bytes.</summary>
/// <param name="addsPrefixSpace">Whether a blank is put before a text that does not begin with one.</param>
/// <param name="splits">Whether it splits.</param>
internal sealed class ByteLevelPreTokenizer(bool addsPrefixSpace, bool splits) : IPreTokenizer
{
    /// <summary>Reads one of a tokenizer.json.</summary>
    public static ByteLevelPreTokenizer Read(ComponentJson json) => new(json.Flag("add_prefix_space", true), json.Flag("use_regex", true));

    public void Split(Piece piece, bool isFirst, List<Piece> parts, TextBudget? budget = null)
    {
        if (piece.Length == 0) return;
        Piece whole = piece.Whole() with { AsBytes = true };
        if (addsPrefixSpace && !whole.Text.StartsWith(' ')) whole = whole.Prepended(" ");
        if (!splits)
        {
            parts.Add(whole);
            return;
        }
        foreach ((int start, int length, bool _) in SplitPatterns.Gpt2.Find(whole.Text)) parts.Add(whole.Part(start, length));
    }
}
