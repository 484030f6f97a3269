using System.Text;

namespace LowRank.Tasks;

/// <summary>Converts positions in a text between code points and UTF-16 units: data and answers count code points, like
/// Python, spaCy, doccano and Hugging Face data sets; .NET counts units.</summary>
internal sealed class TextOffsets
{
    // the first unit of each code point, and the end; null if every code point is one unit
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

    /// <summary>Number of code points in the text.</summary>
    public int Length { get; }

    /// <summary>The first unit of a code point.</summary>
    /// <param name="codePoint">0 to <see cref="Length"/>.</param>
    public int Units(int codePoint) => starts is null ? codePoint : starts[codePoint];

    /// <summary>The code point that contains a unit.</summary>
    public int Start(int unit) => Place(unit, inside: -1);

    /// <summary>The number of code points before a unit, including one that it cuts.</summary>
    public int End(int unit) => Place(unit, inside: 0);

    private int Place(int unit, int inside)
    {
        if (starts is null) return unit;
        int found = Array.BinarySearch(starts, unit);
        return found >= 0 ? found : ~found + inside;
    }
}
