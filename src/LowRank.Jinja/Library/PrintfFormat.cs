using System.Globalization;
using System.Numerics;
using System.Text;

namespace LowRank.Jinja;

/// <summary>Python's <c>text % values</c>.</summary>
internal sealed class PrintfFormat
{
    private readonly Renderer _renderer;
    private readonly string _format;
    private readonly bool _escapes;
    private readonly DictionaryValue? _named;
    private readonly bool _mayIgnore;
    private readonly Queue<object> _values;
    private readonly StringBuilder _result = new();
    private int _position;

    private PrintfFormat(Renderer renderer, string format, bool escapes, object values)
    {
        _renderer = renderer;
        _format = format;
        _escapes = escapes;
        _named = values as DictionaryValue;

        // Python treats any value with elements as a mapping, none of whose entries need to be used.
        _mayIgnore = values is DictionaryValue or ListValue or RangeValue or UndefinedValue;
        _values = new Queue<object>(values is TupleValue tuple ? tuple.Items : [values]);
    }

    /// <summary>Formats values: the items of a tuple in order, those of a dictionary by name, any other value
    /// alone.</summary>
    public static object Apply(Renderer renderer, object format, object values)
    {
        var formatter = new PrintfFormat(renderer, Text.Of(format)!, format is MarkupValue, values);
        var text = formatter.Run();
        return format is MarkupValue ? new MarkupValue(text) : text;
    }

    private string Run()
    {
        while (_position < _format.Length)
        {
            var next = _format.IndexOf('%', _position);
            next = next < 0 ? _format.Length : next;
            _result.Append(_format, _position, next - _position);
            _position = next + 1;
            if (next < _format.Length)
            {
                Field();
                _renderer.Budget.CheckLength(_result.Length);
            }
        }

        return _values.Count == 0 || _mayIgnore
            ? _result.ToString()
            : throw TemplateException.Type("not all arguments converted during string formatting");
    }

    private void Field()
    {
        object? named = null;
        if (Peek() == '(')
        {
            var end = _format.IndexOf(')', _position);
            var key = end < 0 ? throw TemplateException.Value("incomplete format key") : _format[(_position + 1)..end];
            var source = _named ?? throw TemplateException.Type("format requires a mapping");
            named = source.Items.TryGetValue(key, out var found) ? found
                : throw new TemplateException($"KeyError: '{key}'");
            _position = end + 1;
        }

        var specification = Flags(new FormatSpecification { Align = '>' });
        specification = specification with { Width = Math.Abs(Size(out var left)) };
        if (left)
        {
            specification = specification with { Align = '<', Fill = " " };
        }

        if (Peek() == '.')
        {
            _position++;
            specification = specification with { Precision = (int)Math.Max(0, Size(out _)) };
        }

        while (Peek() is 'h' or 'l' or 'L')
        {
            _position++;
        }

        Convert(specification, named);
    }

    private FormatSpecification Flags(FormatSpecification specification)
    {
        var zero = false;
        for (; Peek() is '-' or '+' or ' ' or '#' or '0'; _position++)
        {
            specification = Peek() switch
            {
                '-' => specification with { Align = '<' },
                '+' => specification with { Sign = '+' },
                ' ' when specification.Sign == '-' => specification with { Sign = ' ' },
                '#' => specification with { Alternative = true },
                _ => specification,
            };
            zero |= Peek() == '0';
        }

        return zero && specification.Align == '>' ? specification with { Align = '=', Fill = "0" } : specification;
    }

    private long Size(out bool left)
    {
        left = false;
        if (Peek() == '*')
        {
            _position++;
            var size = Numbers.Index(Next(), "the size after *");
            left = size < 0;
            return Math.Clamp(size, -int.MaxValue, int.MaxValue);
        }

        var start = _position;
        while (char.IsAsciiDigit(Peek()))
        {
            _position++;
        }

        return _position == start ? 0
            : long.TryParse(_format.AsSpan(start, _position - start), CultureInfo.InvariantCulture, out var value)
                && value <= int.MaxValue ? value
            : throw TemplateException.Value("width or precision too big");
    }

    private void Convert(FormatSpecification specification, object? named)
    {
        var kind = Peek();
        _position++;
        if (kind == '%')
        {
            _result.Append('%');
            return;
        }

        if (kind == '\0')
        {
            throw TemplateException.Value("incomplete format");
        }

        var value = named ?? Next();
        var plain = specification with { Align = specification.Align == '=' ? '>' : specification.Align, Fill = " " };
        _result.Append(kind switch
        {
            's' => plain.Text(_renderer, Escape(Display.Text(_renderer, value))),
            'r' or 'a' => plain.Text(_renderer, Escape(Display.Representation(_renderer, value))),
            'c' => plain.Text(_renderer, Character(value)),
            'd' or 'i' or 'u' => (specification with { Kind = 'd' }).Integer(_renderer, Whole(value, kind)),
            'x' or 'X' or 'o' => (specification with { Kind = kind }).Integer(_renderer, Exact(value, kind)),
            'f' or 'F' or 'e' or 'E' or 'g' or 'G' =>
                (specification with { Kind = kind }).Float(_renderer, Real(value)),
            _ => throw TemplateException.Value($"unsupported format character '{kind}'"),
        });
    }

    private string Escape(string text) => _escapes ? MarkupValue.Escape(text) : text;

    private static string Character(object value)
    {
        if (Text.Of(value) is { } text && CodePoints.Length(text) == 1)
        {
            return text;
        }

        return Numbers.Integer(value) is { } code && code >= 0 && code <= 0x10ffff && Rune.IsValid((int)code)
            ? new Rune((int)code).ToString()
            : throw TemplateException.Type("%c requires an integer or a single character");
    }

    private static BigInteger Whole(object value, char kind) => value switch
    {
        UndefinedValue undefined => throw undefined.Use(),
        double number when double.IsFinite(number) => new BigInteger(Math.Truncate(number)),
        _ => Exact(value, kind),
    };

    private static BigInteger Exact(object value, char kind) => value is UndefinedValue undefined
        ? throw undefined.Use()
        : Numbers.Integer(value)
            ?? throw TemplateException.Type($"%{kind} format: a number is required, not {TypeNames.Of(value)}");

    private static double Real(object value) => value is UndefinedValue undefined
        ? throw undefined.Use()
        : Numbers.Float(value) ?? throw TemplateException.Type($"must be real number, not {TypeNames.Of(value)}");

    private object Next() => _values.TryDequeue(out var value)
        ? value
        : throw TemplateException.Type("not enough arguments for format string");

    private char Peek() => _position < _format.Length ? _format[_position] : '\0';
}

/// <summary>The layout of a value, shared by Python's two kinds of formatting.</summary>
internal sealed record FormatSpecification
{
    private const int MaximumWidth = 1_000_000;

    /// <summary>The fill character, one code point.</summary>
    public string Fill { get; init; } = " ";

    /// <summary>&lt; left, &gt; right, ^ centre, = after the sign; space for the default of the type.</summary>
    public char Align { get; init; } = ' ';

    /// <summary>+ always, space for a space before positive numbers, - for negative numbers only.</summary>
    public char Sign { get; init; } = '-';

    /// <summary>Whether to use the alternative form (prefixes, the point kept).</summary>
    public bool Alternative { get; init; }

    /// <summary>The separator of digit groups: a comma, an underscore, or nothing ('\0').</summary>
    public char Grouping { get; init; }

    /// <summary>The minimum width.</summary>
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
        return Number(
            renderer, value.Sign < 0, Alternative ? prefix : "", minimum, Kind is 'x' or 'X' or 'o' or 'b' ? 4 : 3);
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

    /// <summary>Lays out text; the precision truncates it.</summary>
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

    // The default presentation with a precision is g, except that at least one digit follows the point.
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
        return string.Concat(Enumerable.Repeat(Fill, before)) + text
            + string.Concat(Enumerable.Repeat(Fill, missing - before));
    }

    private long CheckedWidth(Renderer renderer)
    {
        if (Width > MaximumWidth)
        {
            throw TemplateException.Value($"a width of {Width} is more than {MaximumWidth}");
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

/// <summary>Parses the part after the colon in <c>"{:...}".format</c>:
/// [[fill]align][sign][#][0][width][grouping][.precision][kind].</summary>
internal static class FormatParser
{
    /// <summary>Parses a specification.</summary>
    public static FormatSpecification Parse(string text)
    {
        var result = new FormatSpecification();
        var position = 0;
        var fill = text.Length > 0 ? CodePoints.At(text, 0)! : "";
        if (fill.Length < text.Length && IsAlign(text[fill.Length]))
        {
            result = result with { Fill = fill, Align = text[fill.Length] };
            position = fill.Length + 1;
        }
        else if (text.Length > 0 && IsAlign(text[0]))
        {
            result = result with { Align = text[0] };
            position = 1;
        }

        if (At(text, position) is '+' or '-' or ' ')
        {
            result = result with { Sign = text[position++] };
        }

        if (At(text, position) == '#')
        {
            result = result with { Alternative = true };
            position++;
        }

        if (At(text, position) == '0' && result.Align == ' ')
        {
            result = result with { Fill = "0", Align = '=' };
            position++;
        }

        return Sizes(text, position, result);
    }

    private static FormatSpecification Sizes(string text, int position, FormatSpecification result)
    {
        result = result with { Width = Math.Max(0, Number(text, ref position)) };
        if (At(text, position) is ',' or '_')
        {
            result = result with { Grouping = text[position++] };
        }

        if (At(text, position) == '.')
        {
            position++;
            var precision = Number(text, ref position);
            result = result with
            {
                Precision = precision >= 0 ? precision
                    : throw TemplateException.Value("Format specifier missing precision"),
            };
        }

        if (position < text.Length)
        {
            result = result with { Kind = text[position++] };
        }

        return position == text.Length
            ? result
            : throw TemplateException.Value($"Invalid format specifier '{text}'");
    }

    private static bool IsAlign(char character) => character is '<' or '>' or '^' or '=';

    private static int Number(string text, ref int position)
    {
        var start = position;
        while (char.IsAsciiDigit(At(text, position)))
        {
            position++;
        }

        return position == start ? -1
            : int.TryParse(text.AsSpan(start, position - start), CultureInfo.InvariantCulture, out var value) ? value
            : throw TemplateException.Value("Too many decimal digits in format string");
    }

    private static char At(string text, int position) => position < text.Length ? text[position] : '\0';
}
