using System.Globalization;
using System.Numerics;
using System.Text;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

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

        // Python takes whatever has elements for a mapping, of which nothing needs to be used.
        _mayIgnore = values is DictionaryValue or ListValue or RangeValue or UndefinedValue;
        _values = new Queue<object>(values is TupleValue tuple ? tuple.Items : [values]);
    }

    /// <summary>Formats values: a tuple's items one after the other, a dictionary's by name, any other value alone.</summary>
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
            : throw TemplateFault.Type("not all arguments converted during string formatting");
    }

    private void Field()
    {
        object? named = null;
        if (Peek() == '(')
        {
            var end = _format.IndexOf(')', _position);
            var key = end < 0 ? throw TemplateFault.Value("incomplete format key") : _format[(_position + 1)..end];
            var source = _named ?? throw TemplateFault.Type("format requires a mapping");
            named = source.Items.TryGetValue(key, out var found) ? found : throw new TemplateFault($"KeyError: '{key}'");
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
            : throw TemplateFault.Value("width or precision too big");
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
            throw TemplateFault.Value("incomplete format");
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
            _ => throw TemplateFault.Value($"unsupported format character '{kind}'"),
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
            : throw TemplateFault.Type("%c requires an integer or a single character");
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
            ?? throw TemplateFault.Type($"%{kind} format: a number is required, not {TypeNames.Of(value)}");

    private static double Real(object value) => value is UndefinedValue undefined
        ? throw undefined.Use()
        : Numbers.Float(value) ?? throw TemplateFault.Type($"must be real number, not {TypeNames.Of(value)}");

    private object Next() => _values.TryDequeue(out var value)
        ? value
        : throw TemplateFault.Type("not enough arguments for format string");

    private char Peek() => _position < _format.Length ? _format[_position] : '\0';
}
