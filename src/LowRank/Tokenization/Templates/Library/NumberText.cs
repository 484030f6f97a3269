using System.Globalization;
using System.Numerics;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>Reads numbers from text as Python's <c>int</c> and <c>float</c> do.</summary>
internal static class NumberText
{
    private const int MaximumDigits = 4300;

    /// <summary>A number, or the number that a text spells; null where it is neither.</summary>
    public static double? ToFloat(object value)
    {
        if (value is UndefinedValue undefined)
        {
            throw undefined.Use();
        }

        return Text.Of(value) is { } text ? Float(text) : Numbers.Float(value);
    }

    /// <summary>The float that a text spells, or null.</summary>
    public static double? Float(string text)
    {
        text = Characters.Trim(text);
        if (!HasValidUnderscores(text))
        {
            return null;
        }

        text = text.Replace("_", "");
        var bare = text.TrimStart('+', '-');
        if (text.Length - bare.Length > 1)
        {
            return null;
        }

        var sign = text.StartsWith('-') ? -1.0 : 1.0;
        return bare.ToLowerInvariant() switch
        {
            "inf" or "infinity" => sign * double.PositiveInfinity,
            "nan" => double.NaN,
            _ when bare.Length == 0 || !bare.All(IsFloatCharacter) => null,
            _ => double.TryParse(bare, NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent,
                CultureInfo.InvariantCulture, out var value) ? sign * value : null,
        };
    }

    /// <summary>The integer that a text spells in a base, or null; base 0 goes by the prefix.</summary>
    public static BigInteger? Integer(string text, int numberBase)
    {
        text = Characters.Trim(text);
        var negative = text.StartsWith('-');
        text = negative || text.StartsWith('+') ? text[1..] : text;
        var prefix = text.Length > 2 && text[0] == '0' ? char.ToLowerInvariant(text[1]) switch
        {
            'x' => 16,
            'o' => 8,
            'b' => 2,
            _ => 0,
        } : 0;
        if (prefix != 0 && (numberBase == 0 || numberBase == prefix))
        {
            numberBase = prefix;
            text = text[2] == '_' ? text[3..] : text[2..];
        }
        else if (numberBase == 0)
        {
            numberBase = 10;
            if (text.Length > 1 && text[0] == '0' && text.Any(character => character is not ('0' or '_')))
            {
                return null;
            }
        }

        return text.Length is 0 or > MaximumDigits || !HasValidUnderscores(text)
            ? null
            : Digits(text.Replace("_", ""), numberBase, negative);
    }

    private static BigInteger? Digits(string digits, int numberBase, bool negative)
    {
        var value = BigInteger.Zero;
        foreach (var character in digits)
        {
            var digit = char.IsAsciiDigit(character) ? character - '0'
                : char.IsAsciiLetter(character) ? char.ToLowerInvariant(character) - 'a' + 10
                : CharUnicodeInfo.GetDecimalDigitValue(character);
            if (digit < 0 || digit >= numberBase)
            {
                return null;
            }

            value = (value * numberBase) + digit;
        }

        return negative ? -value : value;
    }

    private static bool IsFloatCharacter(char character) =>
        char.IsAsciiDigit(character) || character is '.' or 'e' or 'E' or '+' or '-';

    // Single underscores between digits.
    private static bool HasValidUnderscores(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '_' && (i == 0 || i == text.Length - 1
                || !char.IsLetterOrDigit(text[i - 1]) || !char.IsLetterOrDigit(text[i + 1])))
            {
                return false;
            }
        }

        return true;
    }
}
