namespace LowRank.Tokenization.PreTokenizers;

/// <summary>Splits by GPT-2's pattern, if asked to, and has the model see bytes.</summary>
internal sealed class ByteLevelPreTokenizer(ComponentJson json) : IPreTokenizer
{
    private readonly bool addsPrefixSpace = json.Flag("add_prefix_space", true);
    private readonly bool splits = json.Flag("use_regex", true);

    public void Split(Piece piece, bool isFirst, List<Piece> parts)
    {
        if (piece.Length == 0) return;
        string text = piece.Span.Length == piece.Text.Length ? piece.Text : piece.Span.ToString();
        if (addsPrefixSpace && !text.StartsWith(' ')) text = " " + text;
        if (!splits)
        {
            parts.Add(new Piece(text, 0, text.Length, AsBytes: true));
            return;
        }
        foreach ((int start, int length, bool _) in SplitPatterns.Gpt2.Find(text)) parts.Add(new Piece(text, start, length, AsBytes: true));
    }
}
