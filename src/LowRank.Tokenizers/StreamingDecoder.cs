namespace LowRank.Tokenizers;

/// <summary>Turns tokens into text as they come. Never hands out a part of a character; all that it hands out together
/// is what <see cref="Tokenizer.Decode"/> gives for all the tokens.</summary>
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

    /// <summary>Takes a token and returns the text that is certain now; often empty.</summary>
    public string Add(int id)
    {
        // Without a token that shows nothing, the first one after it would be decoded as if it began the text.
        if (skipsSpecialTokens && tokenizer.IsLeftOut(id)) return "";
        window.Add(id);
        // Bytes that are text so far may be none with the next: a run is shown when it is whole.
        return tokenizer.IsOpenByte(id) ? "" : Advance(atEnd: false);
    }

    /// <summary>The text that was still held back; called once, after the last token.</summary>
    public string Flush() => Advance(atEnd: true);

    private string Advance(bool atEnd)
    {
        string before = tokenizer.Decode(window[..shown], skipsSpecialTokens),
            whole = tokenizer.Decode(window, skipsSpecialTokens);
        if (whole.Length <= before.Length || (!atEnd && whole[^1] == Replacement)) return "";
        string text = whole[before.Length..];
        // The tokens shown last stay: they tell that the text does not begin here. A blank alone does not tell it.
        if (tokenizer.Decode(window[shown..], skipsSpecialTokens).Length > 0) window.RemoveRange(0, shown);
        shown = window.Count;
        return text;
    }
}
