using System.Globalization;
using System.Numerics;
using System.Text;

namespace LowRank.Jinja;

/// <summary>Python's <c>text.format(...)</c>.</summary>
internal sealed class BraceFormat
{
    private readonly Renderer _renderer;
    private readonly Arguments _arguments;
    private int _automatic;
    private bool _isManual;

    private BraceFormat(Renderer renderer, Arguments arguments)
    {
        _renderer = renderer;
        _arguments = arguments;
    }

    /// <summary>Formats a text with arguments.</summary>
    public static string Apply(Renderer renderer, string format, Arguments arguments) =>
        new BraceFormat(renderer, arguments).Run(format, 0);

    private string Run(string format, int depth)
    {
        var result = new StringBuilder();
        for (var i = 0; i < format.Length;)
        {
            var character = format[i];
            var doubled = i + 1 < format.Length && format[i + 1] == character;
            if (character is not ('{' or '}') || doubled)
            {
                result.Append(character);
                i += character is '{' or '}' ? 2 : 1;
            }
            else if (character == '}')
            {
                throw TemplateException.Value("Single '}' encountered in format string");
            }
            else
            {
                var end = FieldEnd(format, i + 1);
                result.Append(Field(format[(i + 1)..end], depth));
                i = end + 1;
                _renderer.Budget.CheckLength(result.Length);
            }
        }

        return result.ToString();
    }

    private static int FieldEnd(string format, int start)
    {
        var open = 1;
        for (var i = start; i < format.Length; i++)
        {
            open += format[i] == '{' ? 1 : format[i] == '}' ? -1 : 0;
            if (open == 0)
            {
                return i;
            }
        }

        throw TemplateException.Value("expected '}' before end of string");
    }

    // name ! conversion : specification; the specification may itself contain fields.
    private string Field(string field, int depth)
    {
        if (depth > 1)
        {
            throw TemplateException.Value("Max string recursion exceeded");
        }

        var nameEnd = field.IndexOfAny(['!', ':']);
        var bracket = field.IndexOf('[');
        if (bracket >= 0 && bracket < nameEnd)
        {
            nameEnd = field.IndexOfAny(['!', ':'], Math.Max(bracket, field.IndexOf(']', bracket)));
        }

        nameEnd = nameEnd < 0 ? field.Length : nameEnd;
        var value = Value(field[..nameEnd]);
        var rest = field[nameEnd..];
        if (rest.StartsWith('!'))
        {
            value = rest.Length > 1 && (rest.Length == 2 || rest[2] == ':') ? rest[1] switch
            {
                's' => Display.Text(_renderer, value),
                'r' or 'a' => Display.Representation(_renderer, value),
                _ => throw TemplateException.Value($"Unknown conversion specifier '{rest[1]}'"),
            } : throw TemplateException.Value("expected ':' after conversion specifier");
            rest = rest[2..];
        }

        return Format(value, rest.Length > 0 ? Run(rest[1..], depth + 1) : "");
    }

    private object Value(string path)
    {
        var end = path.IndexOfAny(['.', '[']);
        var first = end < 0 ? path : path[..end];
        var value = First(first);
        for (var i = first.Length; i < path.Length;)
        {
            if (path[i] == '.')
            {
                var next = path.IndexOfAny(['.', '['], i + 1);
                next = next < 0 ? path.Length : next;
                value = Access.Attribute(_renderer, value, path[(i + 1)..next]);
                i = next;
            }
            else
            {
                var close = path.IndexOf(']', i);
                if (path[i] != '[' || close < 0)
                {
                    throw TemplateException.Value("Only '.' or '[' may follow ']' in format field specifier");
                }

                var key = path[(i + 1)..close];
                value = Access.Item(
                    _renderer, value, IsNumber(key) ? BigInteger.Parse(key, CultureInfo.InvariantCulture) : key);
                i = close + 1;
            }
        }

        return value;
    }

    private object First(string name)
    {
        if (name.Length > 0 && !IsNumber(name))
        {
            return _arguments.Named.FirstOrDefault(argument => argument.Key == name).Value
                ?? throw new TemplateException($"KeyError: '{name}'");
        }

        if (name.Length == 0 ? _isManual : _automatic > 0)
        {
            throw TemplateException.Value("automatic field numbering and manual field specification cannot be mixed");
        }

        _isManual = name.Length > 0;
        var index = _isManual ? int.Parse(name, CultureInfo.InvariantCulture) : _automatic++;
        return index < _arguments.Positional.Count
            ? _arguments.Positional[index]
            : throw new TemplateException($"IndexError: there is no argument {index} for the format string");
    }

    // Longer numbers cannot be an index.
    private static bool IsNumber(string text) => text.Length is > 0 and < 9 && text.All(char.IsAsciiDigit);

    private string Format(object value, string specification)
    {
        if (specification.Length == 0)
        {
            return Display.Text(_renderer, value);
        }

        var parsed = FormatParser.Parse(specification);
        switch (value)
        {
            case string or MarkupValue when parsed.Kind is '\0' or 's' && parsed.Align != '=':
                return parsed.Text(_renderer, Text.Of(value)!);
            case bool or BigInteger when parsed.Kind == '\0' && value is bool:
                return (parsed with { Align = parsed.Align == ' ' ? '>' : parsed.Align })
                    .Integer(_renderer, Numbers.Integer(value)!.Value);
            case bool or BigInteger
                when parsed.Kind is '\0' or 'd' or 'x' or 'X' or 'o' or 'b' or 'n' && parsed.Precision < 0:
                return parsed.Integer(_renderer, Numbers.Integer(value)!.Value);
            case bool or BigInteger or double when parsed.Kind is 'e' or 'E' or 'f' or 'F' or 'g' or 'G' or '%':
                return parsed.Float(_renderer, Numbers.Float(value)!.Value);
            case double number when parsed.Kind is '\0':
                return parsed.Float(_renderer, number);
            default:
                throw TemplateException.Value(
                    $"the format '{specification}' does not fit a value of type '{TypeNames.Of(value)}'");
        }
    }
}
