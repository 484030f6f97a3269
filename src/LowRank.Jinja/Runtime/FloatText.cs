using System.Globalization;
using System.Numerics;
using System.Text;

namespace LowRank.Jinja;

/// <summary>Floats as text, exactly as Python writes them.</summary>
internal static class FloatText
{
    /// <summary>The maximum number of digits after the point.</summary>
    public const int MaximumPrecision = 1000;

    /// <summary>Python's <c>repr</c>: the shortest digits that read back as the same number.</summary>
    public static string Shortest(double value)
    {
        if (!double.IsFinite(value))
        {
            return NotFinite(value);
        }

        if (value == 0)
        {
            return double.IsNegative(value) ? "-0.0" : "0.0";
        }

        // "E16" would give 17 digits; "R" gives the shortest ones in one of two notations. Extracts digits and
        // exponent.
        var text = Math.Abs(value).ToString("E16", CultureInfo.InvariantCulture);
        var shortest = Math.Abs(value).ToString("R", CultureInfo.InvariantCulture);
        var exponent = int.Parse(text.AsSpan(text.IndexOf('E') + 1), CultureInfo.InvariantCulture);
        var digits = Digits(shortest, ref exponent);
        return (value < 0 ? "-" : "") + Layout(digits, exponent);
    }

    /// <summary>A fixed number of digits after the point (printf's <c>f</c>), for a number that is not
    /// negative.</summary>
    public static string Fixed(double value, int precision)
    {
        CheckPrecision(precision);
        var digits = Round(value, precision).ToString(CultureInfo.InvariantCulture).PadLeft(precision + 1, '0');
        return precision == 0 ? digits : $"{digits[..^precision]}.{digits[^precision..]}";
    }

    /// <summary>One digit before the point and an exponent (printf's <c>e</c>), for a number that is not
    /// negative.</summary>
    public static string Exponential(double value, int precision)
    {
        var (digits, exponent) = Significant(value, precision + 1);
        return Mantissa(digits) + Exponent(exponent);
    }

    /// <summary>A fixed number of significant digits in the shorter notation (printf's <c>g</c>), for a number that is
    /// not negative.</summary>
    public static string General(double value, int precision, bool keepZeros)
    {
        precision = Math.Max(1, precision);
        var (digits, exponent) = Significant(value, precision);
        var plain = exponent >= -4 && exponent < precision;
        if (!keepZeros)
        {
            digits = digits.TrimEnd('0').PadRight(1, '0');
        }

        if (!plain)
        {
            return Mantissa(digits) + Exponent(exponent);
        }

        if (exponent < 0)
        {
            return "0." + new string('0', -exponent - 1) + digits;
        }

        digits = digits.PadRight(exponent + 1, '0');
        var fraction = digits[(exponent + 1)..];
        return fraction.Length == 0 ? digits : $"{digits[..(exponent + 1)]}.{fraction}";
    }

    /// <summary>Python's <c>round</c> to digits after the point; negative numbers of digits round before it.</summary>
    public static double RoundTo(double value, int places)
    {
        if (!double.IsFinite(value) || value == 0 || places > 400)
        {
            return value;
        }

        var digits = Round(Math.Abs(value), Math.Max(places, -400));
        var text = string.Create(CultureInfo.InvariantCulture, $"{digits}E{-places}");
        return Math.CopySign(double.Parse(text, CultureInfo.InvariantCulture), value);
    }

    /// <summary>Infinity and NaN.</summary>
    public static string NotFinite(double value) => double.IsNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";

    /// <summary>Refuses precisions that would only fill memory.</summary>
    public static void CheckPrecision(int precision)
    {
        if (precision > MaximumPrecision)
        {
            throw TemplateException.Value($"a precision of {precision} digits is more than {MaximumPrecision}");
        }
    }

    // value * 10^places, rounded to the nearest integer, ties to even, on the exact binary value.
    private static BigInteger Round(double value, int places)
    {
        var bits = BitConverter.DoubleToInt64Bits(value);
        var exponent = (int)((bits >> 52) & 0x7ff);
        BigInteger numerator = (bits & 0xfffffffffffffL) | (exponent == 0 ? 0 : 1L << 52);
        BigInteger denominator = 1;
        var shift = Math.Max(exponent, 1) - 1075;
        numerator <<= Math.Max(shift, 0);
        denominator <<= Math.Max(-shift, 0);
        numerator *= BigInteger.Pow(10, Math.Max(places, 0));
        denominator *= BigInteger.Pow(10, Math.Max(-places, 0));
        var quotient = BigInteger.DivRem(numerator, denominator, out var remainder);
        var order = (remainder * 2).CompareTo(denominator);
        return order > 0 || (order == 0 && !quotient.IsEven) ? quotient + 1 : quotient;
    }

    private static (string Digits, int Exponent) Significant(double value, int count)
    {
        CheckPrecision(count);
        if (value == 0)
        {
            return (new string('0', count), 0);
        }

        var exponent = (int)Math.Floor(Math.Log10(value));
        var digits = Round(value, count - 1 - exponent).ToString(CultureInfo.InvariantCulture);

        // The logarithm may be off by one near powers of ten, and rounding may carry into another digit.
        while (digits.Length != count)
        {
            exponent += digits.Length > count ? 1 : -1;
            digits = Round(value, count - 1 - exponent).ToString(CultureInfo.InvariantCulture);
        }

        return (digits, exponent);
    }

    private static string Digits(string shortest, ref int exponent)
    {
        var end = shortest.IndexOf('E');
        if (end >= 0)
        {
            exponent = int.Parse(shortest.AsSpan(end + 1), CultureInfo.InvariantCulture);
            return shortest[..end].Replace(".", "");
        }

        var point = shortest.IndexOf('.');
        var whole = point < 0 ? shortest : shortest[..point];
        var all = point < 0 ? shortest : shortest.Remove(point, 1);
        var leading = all.Length - all.TrimStart('0').Length;
        exponent = whole.Length - 1 - leading;
        return all.Trim('0');
    }

    private static string Layout(string digits, int exponent)
    {
        if (exponent is < -4 or >= 16)
        {
            return Mantissa(digits) + Exponent(exponent);
        }

        if (exponent < 0)
        {
            return "0." + new string('0', -exponent - 1) + digits;
        }

        digits = digits.PadRight(exponent + 2, '0');
        return $"{digits[..(exponent + 1)]}.{digits[(exponent + 1)..]}";
    }

    private static string Mantissa(string digits) => digits.Length == 1 ? digits : $"{digits[..1]}.{digits[1..]}";

    private static string Exponent(int exponent) => new StringBuilder("e")
        .Append(exponent < 0 ? '-' : '+')
        .Append(Math.Abs(exponent).ToString("00", CultureInfo.InvariantCulture))
        .ToString();
}

/// <summary>Reads numbers from text as Python's <c>int</c> and <c>float</c> do.</summary>
internal static class NumberText
{
    private const int MaximumDigits = 4300;

    /// <summary>The value as a number, or the number that a text contains; null if it is neither.</summary>
    public static double? ToFloat(object value)
    {
        if (value is UndefinedValue undefined)
        {
            throw undefined.Use();
        }

        return Text.Of(value) is { } text ? Float(text) : Numbers.Float(value);
    }

    /// <summary>The float that a text contains, or null.</summary>
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

    /// <summary>The integer that a text contains in a base, or null; base 0 uses the prefix.</summary>
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

    // Allows single underscores between digits.
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
