using System.Text;

namespace LowRank.Tasks;

/// <summary>Turns places in a text from code points to UTF-16 units and back: data and answers count code points, as
/// Python, spaCy, doccano and Hugging Face's data sets do; .NET counts units.</summary>
internal sealed class TextOffsets
{
    // the unit at which each code point begins, and the end; null where each is one unit
    private readonly int[]? starts;

    public TextOffsets(string text)
    {
        Length = text.Length;
        if (!text.Any(char.IsSurrogate)) return;
        var found = new List<int>(text.Length + 1);
        int at = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            found.Add(at);
            at += rune.Utf16SequenceLength;
        }
        Length = found.Count;
        starts = [.. found, text.Length];
    }

    /// <summary>Code points of the text.</summary>
    public int Length { get; }

    /// <summary>The unit at which a code point begins.</summary>
    /// <param name="codePoint">0 to <see cref="Length"/>.</param>
    public int Units(int codePoint) => starts is null ? codePoint : starts[codePoint];

    /// <summary>The code point that holds a unit.</summary>
    public int Start(int unit) => Place(unit, inside: -1);

    /// <summary>The code points before a unit, one that it cuts included.</summary>
    public int End(int unit) => Place(unit, inside: 0);

    private int Place(int unit, int inside)
    {
        if (starts is null) return unit;
        int found = Array.BinarySearch(starts, unit);
        return found >= 0 ? found : ~found + inside;
    }
}
