namespace LowRank.Tokenizers;

/// <summary>Decodes tokens incrementally. Never returns a part of a character; the concatenated output equals
/// <see cref="Tokenizer.Decode"/> of all the tokens.</summary>
public sealed class StreamingDecoder
{
    private const char Replacement = '\uFFFD'; // what an unfinished character decodes to
    private readonly Tokenizer tokenizer;
    private readonly bool skipsSpecialTokens;
    private readonly List<int> window = [];
    private int shown; // tokens at the window's beginning whose text is out already

    internal StreamingDecoder(Tokenizer tokenizer, bool skipsSpecialTokens)
    {
        this.tokenizer = tokenizer;
        this.skipsSpecialTokens = skipsSpecialTokens;
    }

    /// <summary>Adds a token and returns the text that is now final; often empty.</summary>
    public string Add(int id)
    {
        // A token that shows nothing is not kept: alone in the window, it would make the next one look like the start
        // of the text.
        if (skipsSpecialTokens && tokenizer.IsLeftOut(id)) return "";
        window.Add(id);
        // Bytes that are valid text so far may be invalid with the next byte: a run is output when it is complete.
        return tokenizer.IsOpenByte(id) ? "" : Advance(atEnd: false);
    }

    /// <summary>The remaining text; called once, after the last token.</summary>
    public string Flush() => Advance(atEnd: true);

    private string Advance(bool atEnd)
    {
        string before = tokenizer.Decode(window[..shown], skipsSpecialTokens),
            whole = tokenizer.Decode(window, skipsSpecialTokens);
        if (whole.Length <= before.Length || (!atEnd && whole[^1] == Replacement)) return "";
        string text = whole[before.Length..];
        // The last tokens output are kept: they show that the text does not start here. A space alone does not show
        // this.
        if (tokenizer.Decode(window[shown..], skipsSpecialTokens).Length > 0) window.RemoveRange(0, shown);
        shown = window.Count;
        return text;
    }
}
