using System.Globalization;
using System.Text;

namespace LowRank.Tokenization.Patterns;

/// <summary>A pattern as it is read, character by character.</summary>
internal sealed class PatternText(string text)
{
    /// <summary>The place of the next character.</summary>
    public int At { get; private set; }

    /// <summary>Whether nothing is left.</summary>
    public bool IsAtEnd => At >= text.Length;

    /// <summary>The next unit; 0 at the end.</summary>
    public char Next => IsAtEnd ? '\0' : text[At];

    /// <summary>Whether what follows is this; then it is taken.</summary>
    public bool Take(string expected)
    {
        if (string.CompareOrdinal(text, At, expected, 0, expected.Length) != 0) return false;
        At += expected.Length;
        return true;
    }

    /// <summary>Takes a character.</summary>
    /// <exception cref="FormatException">The pattern ends here.</exception>
    public Rune TakeRune()
    {
        if (IsAtEnd) throw new FormatException("it ends too soon");
        if (!Rune.TryGetRuneAt(text, At, out Rune rune)) throw new FormatException("it holds half a surrogate pair");
        At += rune.Utf16SequenceLength;
        return rune;
    }

    /// <summary>Takes everything up to a mark, and the mark.</summary>
    /// <exception cref="FormatException">The mark does not come.</exception>
    public string TakeUntil(string mark)
    {
        int end = text.IndexOf(mark, At, StringComparison.Ordinal);
        if (end < 0) throw new FormatException($"a \"{mark}\" is missing");
        string taken = text[At..end];
        At = end + mark.Length;
        return taken;
    }

    /// <summary>Takes digits; null when there are none.</summary>
    public int? TakeNumber()
    {
        int start = At;
        while (At < text.Length && char.IsAsciiDigit(text[At])) At++;
        if (At == start) return null;
        return int.TryParse(text.AsSpan(start, At - start), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number : throw new FormatException($"{text[start..At]} is too large");
    }

    /// <summary>Takes hexadecimal digits, at most so many, as a character.</summary>
    /// <exception cref="FormatException">There are none, or they name no character.</exception>
    public Rune TakeHex(int most)
    {
        int start = At;
        while (At < text.Length && At - start < most && char.IsAsciiHexDigit(text[At])) At++;
        return int.TryParse(text.AsSpan(start, At - start), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value) && Rune.IsValid(value)
            ? new Rune(value) : throw new FormatException($"{text[start..At]} names no character");
    }

    /// <summary>Goes back to a place.</summary>
    public void Return(int at) => At = at;
}
