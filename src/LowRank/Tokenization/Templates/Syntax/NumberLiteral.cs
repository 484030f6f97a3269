using System.Globalization;
using System.Numerics;
using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Syntax;

/// <summary>Number literals: decimal, binary, octal and hexadecimal integers and floats, with underscores between digits.</summary>
internal static class NumberLiteral
{
    private const int MaximumDigits = 4300;

    /// <summary>The place after the float that begins at a place, or -1 where none does.</summary>
    public static int FloatEnd(string text, int start)
    {
        var whole = Digits(text, start, char.IsAsciiDigit);
        var fraction = At(text, whole) == '.' ? Digits(text, whole + 1, char.IsAsciiDigit) : -1;
        var mantissa = fraction < 0 ? whole : fraction;
        if (At(text, mantissa) is 'e' or 'E')
        {
            var sign = At(text, mantissa + 1) is '+' or '-' ? 1 : 0;
            var exponent = Digits(text, mantissa + 1 + sign, char.IsAsciiDigit);
            if (exponent >= 0)
            {
                return exponent;
            }
        }

        return fraction;
    }

    /// <summary>The place after the integer that begins at a place.</summary>
    public static int IntegerEnd(string text, int start)
    {
        if (text[start] == '0')
        {
            Func<char, bool>? isDigit = char.ToLowerInvariant(At(text, start + 1)) switch
            {
                'b' => character => character is '0' or '1',
                'o' => character => character is >= '0' and <= '7',
                'x' => char.IsAsciiHexDigit,
                _ => null,
            };
            var from = At(text, start + 2) == '_' ? start + 3 : start + 2;
            var end = isDigit is null ? -1 : Digits(text, from, isDigit);
            return end >= 0 ? end : Digits(text, start, character => character == '0');
        }

        return Digits(text, start, char.IsAsciiDigit);
    }

    /// <summary>The value of an integer literal without underscores.</summary>
    public static BigInteger Integer(string text, int line)
    {
        if (text.Length > MaximumDigits)
        {
            throw new TemplateFault($"an integer has more than {MaximumDigits} digits", line);
        }

        var numberBase = text.Length < 2 ? 10 : char.ToLowerInvariant(text[1]) switch
        {
            'b' => 2,
            'o' => 8,
            'x' => 16,
            _ => 10,
        };
        var value = BigInteger.Zero;
        foreach (var digit in numberBase == 10 ? text : text[2..])
        {
            value = (value * numberBase) + Convert.ToInt32(digit.ToString(), 16);
        }

        return value;
    }

    /// <summary>The value of a float literal without underscores.</summary>
    public static double Float(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    // The place after digits, with single underscores between them; -1 where there is none.
    private static int Digits(string text, int start, Func<char, bool> isDigit)
    {
        var position = start;
        while (isDigit(At(text, position)) || (position > start && At(text, position) == '_' && isDigit(At(text, position + 1))))
        {
            position++;
        }

        return position == start ? -1 : position;
    }

    private static char At(string text, int position) => position >= 0 && position < text.Length ? text[position] : '\0';
}
