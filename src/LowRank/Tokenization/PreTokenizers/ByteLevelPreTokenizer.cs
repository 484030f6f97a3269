namespace LowRank.Tokenization.PreTokenizers;

/// <summary>Splits by GPT-2's pattern, if asked to, and has the model see bytes.</summary>
internal sealed class ByteLevelPreTokenizer(ComponentJson json) : IPreTokenizer
{
    private readonly bool addsPrefixSpace = json.Flag("add_prefix_space", true);
    private readonly bool splits = json.Flag("use_regex", true);

    public void Split(Piece piece, bool isFirst, List<Piece> parts)
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
