using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Jinja;

/// <summary>Writes values as JSON, as Python's <c>json.dumps</c> does.</summary>
/// <param name="Renderer">The rendering.</param>
/// <param name="EscapeNonAscii">Python's <c>ensure_ascii</c>.</param>
/// <param name="Indent">The indentation per level; null writes everything on one line.</param>
/// <param name="ItemSeparator">The separator between items.</param>
/// <param name="KeySeparator">The separator between key and value.</param>
/// <param name="SortKeys">Whether keys are sorted.</param>
internal sealed record JsonText(
    Renderer Renderer, bool EscapeNonAscii, string? Indent, string ItemSeparator, string KeySeparator, bool SortKeys)
{
    private readonly StringBuilder _result = new();

    /// <summary>Writes a value.</summary>
    public string Write(object value)
    {
        Append(value, 0);
        return _result.ToString();
    }

    private void Append(object value, int level)
    {
        Renderer.Budget.Spend(1);
        switch (value)
        {
            case string or MarkupValue:
                AppendText(Text.Of(value)!);
                break;
            case ListValue list:
                AppendGroup('[', list.Items, ']', level, item => Append(item, level + 1));
                break;
            case TupleValue tuple:
                AppendGroup('[', tuple.Items, ']', level, item => Append(item, level + 1));
                break;
            case DictionaryValue dictionary:
                AppendGroup('{', Keys(dictionary), '}', level, key => AppendPair(key, dictionary.Items[key], level));
                break;
            default:
                _result.Append(Simple(value) ?? throw TemplateException.Type(
                    $"Object of type {TypeNames.Of(value)} is not JSON serializable"));
                break;
        }

        Renderer.Budget.CheckLength(_result.Length);
    }

    private IReadOnlyCollection<object> Keys(DictionaryValue dictionary) => SortKeys
        ? Sorting.Sort(Renderer, dictionary.Items.Keys, key => key)
        : dictionary.Items.Keys;

    private void AppendGroup(char open, IReadOnlyCollection<object> items, char close, int level, Action<object> append)
    {
        _result.Append(open);
        if (items.Count > 0)
        {
            Renderer.Budget.Enter();
            var first = true;
            foreach (var item in items)
            {
                _result.Append(first ? "" : ItemSeparator);
                first = false;
                NewLine(level + 1);
                append(item);
            }

            NewLine(level);
            Renderer.Budget.Leave();
        }

        _result.Append(close);
    }

    private void AppendPair(object key, object value, int level)
    {
        AppendText(Text.Of(key) ?? Simple(key) ?? throw TemplateException.Type(
            $"keys must be str, int, float, bool or None, not {TypeNames.Of(key)}"));
        _result.Append(KeySeparator);
        Append(value, level + 1);
    }

    private void NewLine(int level)
    {
        if (Indent is not null)
        {
            Renderer.Budget.CheckLength(_result.Length + ((long)Indent.Length * level));
            Renderer.Budget.SpendCharacters((long)Indent.Length * level);
            _result.Append('\n').Insert(_result.Length, Indent, level);
        }
    }

    private static string? Simple(object value) => value switch
    {
        bool boolean => boolean ? "true" : "false",
        None => "null",
        BigInteger integer => Display.Integer(integer),
        double number when double.IsNaN(number) => "NaN",
        double number when double.IsInfinity(number) => number > 0 ? "Infinity" : "-Infinity",
        double number => FloatText.Shortest(number),
        _ => null,
    };

    private void AppendText(string text)
    {
        Renderer.Budget.SpendCharacters(text.Length);
        _result.Append('"');
        foreach (var character in text)
        {
            _ = character switch
            {
                '"' => _result.Append("\\\""),
                '\\' => _result.Append("\\\\"),
                '\n' => _result.Append("\\n"),
                '\r' => _result.Append("\\r"),
                '\t' => _result.Append("\\t"),
                '\f' => _result.Append("\\f"),
                '\b' => _result.Append("\\b"),
                < ' ' => _result.Append(CultureInfo.InvariantCulture, $"\\u{(int)character:x4}"),
                > '~' when EscapeNonAscii => _result.Append(CultureInfo.InvariantCulture, $"\\u{(int)character:x4}"),
                _ => _result.Append(character),
            };
        }

        _result.Append('"');
    }
}

/// <summary>Creates a template's values from JSON, as Python's <c>json.loads</c> does.</summary>
internal static class JsonValues
{
    /// <summary>The variables of a rendering.</summary>
    public static IEnumerable<KeyValuePair<string, object>> Read(Renderer renderer, JsonObject variables)
    {
        foreach (var (name, value) in variables)
        {
            yield return KeyValuePair.Create(name, Value(renderer, value));
        }
    }

    private static object Value(Renderer renderer, JsonNode? node)
    {
        renderer.Budget.Spend(1);
        renderer.Budget.Enter();
        object value = node switch
        {
            null => None.Value,
            JsonArray array => new ListValue([.. array.Select(item => Value(renderer, item))]),
            JsonObject members => Dictionary(renderer, members),
            _ => Leaf(node.AsValue()),
        };
        renderer.Budget.Leave();
        return value;
    }

    private static DictionaryValue Dictionary(Renderer renderer, JsonObject members)
    {
        var dictionary = new DictionaryValue(renderer.Keys);
        foreach (var (name, value) in members)
        {
            dictionary.Items[name] = Value(renderer, value);
        }

        return dictionary;
    }

    private static object Leaf(JsonValue value)
    {
        switch (value.GetValueKind())
        {
            case JsonValueKind.True:
                return true;
            case JsonValueKind.False:
                return false;
            case JsonValueKind.Null:
                return None.Value;
            case JsonValueKind.Number:
                return Number(value);
            default:
                return value.TryGetValue<string>(out var text) ? text : value.ToString();
        }
    }

    // 1 is an integer and 1.0 a float. The JSON text decides, if there is one; a .NET number keeps its type.
    private static object Number(JsonValue value)
    {
        if (!value.TryGetValue<JsonElement>(out var element))
        {
            if (value.TryGetValue<double>(out var number) || value.TryGetValue<float>(out var single)
                && double.IsFinite(number = single))
            {
                return number;
            }

            return value.TryGetValue<decimal>(out var money)
                ? (double)money
                : BigInteger.Parse(value.ToJsonString(), CultureInfo.InvariantCulture);
        }

        var text = element.GetRawText();
        return text.AsSpan().ContainsAny(".eE")
            ? double.Parse(text, CultureInfo.InvariantCulture)
            : Numbers.Checked(BigInteger.Parse(text, CultureInfo.InvariantCulture));
    }
}
