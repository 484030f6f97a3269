namespace LowRank.Tokenization.PreTokenizers;

/// <summary>sentencepiece's way with blanks: written as ▁, one put before the text, pieces beginning with them.</summary>
internal sealed class MetaspacePreTokenizer : IPreTokenizer
{
    private readonly string replacement;
    private readonly string scheme;
    private readonly SplitPreTokenizer? split;

    public MetaspacePreTokenizer(ComponentJson json)
    {
        replacement = json.TextOr("replacement", "▁")!;
        scheme = Scheme(json);
        if (scheme is not ("always" or "first" or "never")) throw json.Unsupported("prepend_scheme", "always, first or never");
        if (replacement.Length != 1) throw json.Unsupported("replacement", "one character");
        if (json.Flag("split", true))
            split = new SplitPreTokenizer(new RunePattern(rune => rune.Value == replacement[0]), SplitBehavior.MergedWithNext, invert: false);
    }

    /// <summary>When the blank is put before the text: "always", "first" or "never"; older files say it by add_prefix_space.</summary>
    public static string Scheme(ComponentJson json) =>
        json.TextOr("prepend_scheme", null) ?? (json.Flag("add_prefix_space", true) ? "always" : "never");

    public void Split(Piece piece, bool isFirst, List<Piece> parts, TextBudget? budget = null)
    {
        if (piece.Length == 0) return;
        Piece whole = piece.Whole();
        whole = whole.WithText(whole.Text.Replace(" ", replacement, StringComparison.Ordinal));
        bool prepends = scheme == "always" || (scheme == "first" && isFirst);
        if (prepends && !whole.Text.StartsWith(replacement, StringComparison.Ordinal)) whole = whole.Prepended(replacement);
        if (split is null) parts.Add(whole);
        else split.Split(whole, isFirst, parts, budget);
    }
}
