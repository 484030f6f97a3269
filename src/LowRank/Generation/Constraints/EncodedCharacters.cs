namespace LowRank.Generation;

/// <summary>A range of bytes, or of hexadecimal digits in either case.</summary>
/// <param name="Low">The first byte, or the first digit's value.</param>
/// <param name="High">The last one.</param>
/// <param name="IsDigit">Whether it is of digits.</param>
internal readonly record struct ByteSpan(byte Low, byte High, bool IsDigit = false)
{
    /// <summary>The bytes, in ranges.</summary>
    public IEnumerable<(byte Low, byte High)> Bytes
    {
        get
        {
            if (!IsDigit)
            {
                yield return (Low, High);
                yield break;
            }
            if (Low <= 9) yield return ((byte)('0' + Low), (byte)('0' + Math.Min((int)High, 9)));
            if (High < 10) yield break;
            int first = Math.Max((int)Low, 10) - 10, last = High - 10;
            yield return ((byte)('a' + first), (byte)('a' + last));
            yield return ((byte)('A' + first), (byte)('A' + last));
        }
    }
}

/// <summary>The ways to write the characters of a set, as sequences of ranges of bytes.</summary>
internal static class EncodedCharacters
{
    private const int FirstOfPairs = 0x10000;
    private static readonly CharacterSet Ascii = CharacterSet.Of((0, 0x7F));
    private static readonly CharacterSet Unescaped =
        CharacterSet.Of((' ', 0x7F)).Without(CharacterSet.Of(('"', '"'), ('\\', '\\')));

    private static readonly (char Character, char Escape)[] Escapes =
        [('"', '"'), ('\\', '\\'), ('/', '/'), ('\b', 'b'), ('\f', 'f'), ('\n', 'n'), ('\r', 'r'), ('\t', 't')];

    // The characters of one, two, three and four bytes.
    private static readonly (int Low, int High)[] Lengths =
        [(0, 0x7F), (0x80, 0x7FF), (0x800, 0xFFFF), (FirstOfPairs, CharacterSet.Largest)];

    /// <summary>The characters that are written as one byte.</summary>
    public static CharacterSet OneByte(CharacterEncoding encoding) =>
        encoding == CharacterEncoding.Plain ? Ascii : Unescaped;

    /// <summary>All ways to write a set's characters, but those of one byte.</summary>
    public static IEnumerable<ByteSpan[]> Of(CharacterSet set, CharacterEncoding encoding)
    {
        foreach ((int low, int high) in set.Without(Ascii).Ranges)
            foreach (ByteSpan[] spans in Utf8(low, high)) yield return spans;
        if (encoding == CharacterEncoding.Plain) yield break;
        foreach ((char character, char escape) in Escapes)
            if (set.Contains(character)) yield return [One('\\'), One(escape)];
        foreach ((int low, int high) in set.Ranges)
            foreach (ByteSpan[] spans in Escaped(low, high)) yield return spans;
    }

    private static ByteSpan One(int value) => new((byte)value, (byte)value);

    private static IEnumerable<ByteSpan[]> Utf8(int low, int high)
    {
        for (int length = 1; length < Lengths.Length; length++)
        {
            (int first, int last) = (Math.Max(low, Lengths[length].Low), Math.Min(high, Lengths[length].High));
            if (first > last) continue;
            int lead = length switch { 1 => 0xC0, 2 => 0xE0, _ => 0xF0 };
            foreach ((int From, int To)[] digits in Split(first, last, length + 1, 6))
            {
                int Mark(int i) => i == 0 ? lead : 0x80;
                yield return [.. digits.Select((digit, i) =>
                    new ByteSpan((byte)(Mark(i) + digit.From), (byte)(Mark(i) + digit.To)))];
            }
        }
    }

    private static IEnumerable<ByteSpan[]> Escaped(int low, int high)
    {
        if (low < FirstOfPairs)
            foreach (ByteSpan[] unit in Unit(low, Math.Min(high, FirstOfPairs - 1))) yield return unit;
        if (high < FirstOfPairs) yield break;
        // Pairs, by their first halves: those with all second halves together.
        foreach ((int From, int To)[] halves in Split(
            Math.Max(low, FirstOfPairs) - FirstOfPairs, high - FirstOfPairs, 2, 10))
            foreach (ByteSpan[] first in Unit(0xD800 + halves[0].From, 0xD800 + halves[0].To))
                foreach (ByteSpan[] second in Unit(0xDC00 + halves[1].From, 0xDC00 + halves[1].To))
                    yield return [.. first, .. second];
    }

    // \uXXXX
    private static IEnumerable<ByteSpan[]> Unit(int low, int high) =>
        Split(low, high, 4, 4).Select(digits => (ByteSpan[])[One('\\'), One('u'),
            .. digits.Select(digit => new ByteSpan((byte)digit.From, (byte)digit.To, IsDigit: true))]);

    // A range of numbers as ranges of each digit, of so many bits.
    private static IEnumerable<(int From, int To)[]> Split(int low, int high, int digits, int bits)
    {
        if (digits == 1)
        {
            yield return [(low, high)];
            yield break;
        }
        int shift = (digits - 1) * bits, unit = 1 << shift;
        int first = low >> shift, last = high >> shift;
        if (first == last)
        {
            foreach ((int, int)[] rest in Split(low & (unit - 1), high & (unit - 1), digits - 1, bits))
                yield return [(first, first), .. rest];
            yield break;
        }
        if ((low & (unit - 1)) != 0)
        {
            foreach ((int, int)[] rest in Split(low & (unit - 1), unit - 1, digits - 1, bits))
                yield return [(first, first), .. rest];
            first++;
        }
        bool isWhole = (high & (unit - 1)) == unit - 1;
        if (first < last || isWhole)
            foreach ((int, int)[] rest in Split(0, unit - 1, digits - 1, bits))
                yield return [(first, isWhole ? last : last - 1), .. rest];
        if (isWhole) yield break;
        foreach ((int, int)[] rest in Split(0, high & (unit - 1), digits - 1, bits))
            yield return [(last, last), .. rest];
    }
}
