using System.Numerics;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Runtime;

/// <summary>Reads values as numbers. Integers have any size, booleans count as 0 and 1.</summary>
internal static class Numbers
{
    // Python itself refuses to print integers beyond 4300 digits; beyond this size it is a bomb.
    private const long MaximumBits = 65_536;

    /// <summary>The value as an integer, where it is an integer or a boolean.</summary>
    public static BigInteger? Integer(object value) => value switch
    {
        BigInteger number => number,
        bool boolean => boolean ? BigInteger.One : BigInteger.Zero,
        _ => null,
    };

    /// <summary>The value as a float, where it is a number.</summary>
    public static double? Float(object value) => value is double number ? number : Integer(value) is { } integer
        ? ToFloat(integer)
        : null;

    /// <summary>An integer as a float.</summary>
    public static double ToFloat(BigInteger integer)
    {
        // The cast truncates for large values; text is rounded to the nearest as Python rounds.
        var value = BigInteger.Abs(integer) < (BigInteger.One << 53)
            ? (double)integer
            : double.Parse(integer.ToString(), System.Globalization.CultureInfo.InvariantCulture);
        return double.IsInfinity(value)
            ? throw new TemplateFault("OverflowError: int too large to convert to float")
            : value;
    }

    /// <summary>The float nearest to a quotient of integers, which floats of the two would miss where they are large.</summary>
    public static double Quotient(BigInteger dividend, BigInteger divisor)
    {
        const int Precision = 66;
        var exact = BigInteger.One << 53;
        if (BigInteger.Abs(dividend) <= exact && BigInteger.Abs(divisor) <= exact)
        {
            return (double)dividend / (double)divisor;
        }

        // Enough bits to round once, the last of them telling whether anything is left over.
        var shift = (int)(Precision + divisor.GetBitLength() - dividend.GetBitLength());
        var scaled = BigInteger.Abs(shift >= 0 ? dividend << shift : dividend);
        var quotient = BigInteger.DivRem(scaled, BigInteger.Abs(shift >= 0 ? divisor : divisor << -shift), out var rest);
        var magnitude = Math.ScaleB(ToFloat(rest.IsZero ? quotient : quotient | BigInteger.One), -shift);
        return double.IsInfinity(magnitude)
            ? throw new TemplateFault("OverflowError: integer division result too large for a float")
            : dividend.Sign * divisor.Sign < 0 ? -magnitude : magnitude;
    }

    /// <summary>The value as an index or count, cut to the range of long.</summary>
    public static long Index(object value, string what)
    {
        if (value is UndefinedValue undefined)
        {
            throw undefined.Use();
        }

        var integer = Integer(value)
            ?? throw TemplateFault.Type($"{what} must be an integer, not '{TypeNames.Of(value)}'");
        return (long)BigInteger.Clamp(integer, long.MinValue / 2, long.MaxValue / 2);
    }

    /// <summary>Refuses an integer that is too large to go on with.</summary>
    public static BigInteger Checked(BigInteger value) => value.GetBitLength() > MaximumBits
        ? throw new TemplateFault($"an integer has more than {MaximumBits} bits")
        : value;

    /// <summary>Refuses a size before the integer is computed.</summary>
    public static void CheckBits(double bits)
    {
        if (bits > MaximumBits)
        {
            throw new TemplateFault($"an integer would have more than {MaximumBits} bits");
        }
    }
}
