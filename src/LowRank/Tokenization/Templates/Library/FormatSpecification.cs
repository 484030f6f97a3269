using System.Numerics;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>How a value is laid out: what the two ways of Python's formatting have in common.</summary>
internal sealed record FormatSpecification
{
    private const int MaximumWidth = 1_000_000;

    /// <summary>What fills up the width, one code point.</summary>
    public string Fill { get; init; } = " ";

    /// <summary>&lt; left, &gt; right, ^ centre, = after the sign; space for the default of the type.</summary>
    public char Align { get; init; } = ' ';

    /// <summary>+ always, space for a space before positive numbers, - for negative numbers only.</summary>
    public char Sign { get; init; } = '-';

    /// <summary>Whether the form is the alternative one (prefixes, the point kept).</summary>
    public bool Alternative { get; init; }

    /// <summary>What separates groups of digits: a comma, an underscore, or nothing ('\0').</summary>
    public char Grouping { get; init; }

    /// <summary>The least width.</summary>
    public long Width { get; init; }

    /// <summary>The precision, or -1.</summary>
    public int Precision { get; init; } = -1;

    /// <summary>The kind of presentation, or '\0' for the default of the type.</summary>
    public char Kind { get; init; }

    /// <summary>Lays out an integer.</summary>
    public string Integer(Renderer renderer, BigInteger value)
    {
        var magnitude = BigInteger.Abs(value);
        var (digits, prefix) = Kind switch
        {
            'x' => (Digits(magnitude, 16), "0x"),
            'X' => (Digits(magnitude, 16).ToUpperInvariant(), "0X"),
            'o' => (Digits(magnitude, 8), "0o"),
            'b' => (Digits(magnitude, 2), "0b"),
            _ => (Display.Integer(magnitude), ""),
        };
        var minimum = Precision > digits.Length ? new string('0', CheckedPrecision() - digits.Length) + digits : digits;
        return Number(renderer, value.Sign < 0, Alternative ? prefix : "", minimum, Kind is 'x' or 'X' or 'o' or 'b' ? 4 : 3);
    }

    /// <summary>Lays out a float.</summary>
    public string Float(Renderer renderer, double value)
    {
        var magnitude = Math.Abs(value);
        var percent = Kind == '%';
        var digits = !double.IsFinite(magnitude) ? FloatText.NotFinite(magnitude) + (percent ? "%" : "") : Kind switch
        {
            'f' or 'F' => FloatText.Fixed(magnitude, DefaultPrecision),
            'e' or 'E' => FloatText.Exponential(magnitude, DefaultPrecision),
            'g' or 'G' => FloatText.General(magnitude, DefaultPrecision, Alternative),
            '%' => FloatText.Fixed(magnitude * 100, DefaultPrecision) + "%",
            _ => Precision < 0 ? FloatText.Shortest(magnitude) : WithPoint(magnitude),
        };
        return Number(
            renderer, double.IsNegative(value) && !double.IsNaN(value), "",
            Kind is 'E' or 'F' or 'G' ? digits.ToUpperInvariant() : digits, 3);
    }

    /// <summary>Lays out text; the precision cuts it.</summary>
    public string Text(Renderer renderer, string text)
    {
        if (Precision >= 0)
        {
            text = text[..CodePoints.Offset(text, Precision)];
        }

        return Fit(renderer, text, '<');
    }

    private int DefaultPrecision => Precision < 0 ? 6 : Precision;

    private int CheckedPrecision()
    {
        FloatText.CheckPrecision(Precision);
        return Precision;
    }

    // The default presentation with a precision is that of g, except that one digit follows the point at least.
    private string WithPoint(double magnitude)
    {
        var text = FloatText.General(magnitude, DefaultPrecision, false);
        return text.Contains('.') || text.Contains('e') ? text : text + ".0";
    }

    private string Number(Renderer renderer, bool negative, string prefix, string digits, int group)
    {
        var sign = (negative ? "-" : Sign == '-' ? "" : Sign.ToString()) + prefix;
        if (Grouping != '\0')
        {
            digits = Group(digits, group);
        }

        if (Align != '=')
        {
            return Fit(renderer, sign + digits, '>');
        }

        var missing = (int)Math.Max(0, CheckedWidth(renderer) - sign.Length - digits.Length);
        return sign + string.Concat(Enumerable.Repeat(Fill, missing)) + digits;
    }

    private string Group(string digits, int group)
    {
        var end = digits.IndexOfAny(['.', 'e', '%']);
        end = end < 0 ? digits.Length : end;
        for (var i = end - group; i > 0; i -= group)
        {
            digits = digits.Insert(i, Grouping.ToString());
        }

        return digits;
    }

    private string Fit(Renderer renderer, string text, char defaultAlign)
    {
        var missing = (int)Math.Max(0, CheckedWidth(renderer) - CodePoints.Length(text));
        var before = (Align == ' ' ? defaultAlign : Align) switch
        {
            '<' => 0,
            '^' => missing / 2,
            _ => missing,
        };
        return string.Concat(Enumerable.Repeat(Fill, before)) + text + string.Concat(Enumerable.Repeat(Fill, missing - before));
    }

    private long CheckedWidth(Renderer renderer)
    {
        if (Width > MaximumWidth)
        {
            throw TemplateFault.Value($"a width of {Width} is more than {MaximumWidth}");
        }

        renderer.Budget.SpendCharacters(Width);
        return Width;
    }

    private static string Digits(BigInteger value, int numberBase)
    {
        if (value.IsZero)
        {
            return "0";
        }

        var result = new List<char>();
        while (!value.IsZero)
        {
            value = BigInteger.DivRem(value, numberBase, out var digit);
            result.Add("0123456789abcdef"[(int)digit]);
        }

        result.Reverse();
        return new string([.. result]);
    }
}
