using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;

namespace LowRank.Adapters.Json;

/// <summary>JSON as Python's <c>json.dumps(value, indent=2, sort_keys=True)</c> writes it: two spaces, keys sorted by code
/// point at every depth, everything but printable ASCII escaped, floats as <c>repr</c>, no newline at the end.</summary>
internal static class PythonJson
{
    /// <summary>Orders keys as Python sorts strings: by code point, where UTF-16 order differs above U+FFFF.</summary>
    public static IComparer<string> KeyOrder { get; } = Comparer<string>.Create((first, second) =>
    {
        var left = first.EnumerateRunes();
        var right = second.EnumerateRunes();
        while (true)
        {
            bool hasLeft = left.MoveNext(), hasRight = right.MoveNext();
            if (!hasLeft || !hasRight) return hasLeft.CompareTo(hasRight);
            int order = left.Current.CompareTo(right.Current);
            if (order != 0) return order;
        }
    });

    /// <summary>The text of an object given by its values.</summary>
    /// <exception cref="JsonException">It holds a number that Python would read as infinite.</exception>
    public static string Write(IEnumerable<KeyValuePair<string, JsonElement>> values)
    {
        var text = new StringBuilder();
        WriteObject(text, values, 0);
        return text.ToString();
    }

    /// <summary>The text of one value on its own, as it stands at the left margin.</summary>
    public static string Write(JsonElement value)
    {
        var text = new StringBuilder();
        WriteValue(text, value, 0);
        return text.ToString();
    }

    /// <summary>A string with its quotes.</summary>
    public static string Quote(string value)
    {
        var text = new StringBuilder(value.Length + 2).Append('"');
        foreach (char letter in value)
        {
            _ = letter switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append(@"\\"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                '\f' => text.Append("\\f"),
                '\b' => text.Append("\\b"),
                >= ' ' and <= '~' => text.Append(letter),
                _ => text.Append(CultureInfo.InvariantCulture, $"\\u{(int)letter:x4}"),
            };
        }
        return text.Append('"').ToString();
    }

    /// <summary>Whether a number's text is one of Python's whole numbers; everything else is a float.</summary>
    public static bool IsInteger(string number) => number.AsSpan().IndexOfAny('.', 'e', 'E') < 0;

    private static void WriteValue(StringBuilder text, JsonElement value, int depth)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                WriteObject(text, value.EnumerateObject().Select(p => KeyValuePair.Create(p.Name, p.Value)), depth);
                break;
            case JsonValueKind.Array:
                WriteArray(text, value, depth);
                break;
            case JsonValueKind.String:
                text.Append(Quote(value.GetString()!));
                break;
            case JsonValueKind.Number:
                text.Append(Number(value));
                break;
            default:
                text.Append(value.GetRawText()); // true, false, null
                break;
        }
    }

    private static string Number(JsonElement value)
    {
        string raw = value.GetRawText();
        if (IsInteger(raw)) return BigInteger.Parse(raw, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture); // "-0" is 0 in Python
        double number = value.GetDouble();
        return double.IsFinite(number) ? PythonFloat.Text(number) : throw new JsonException($"The number {raw} is beyond the range of a float.");
    }

    private static void WriteObject(StringBuilder text, IEnumerable<KeyValuePair<string, JsonElement>> values, int depth)
    {
        string separator = "{";
        foreach ((string key, JsonElement value) in values.OrderBy(v => v.Key, KeyOrder))
        {
            NewLine(text.Append(separator), depth + 1).Append(Quote(key)).Append(": ");
            WriteValue(text, value, depth + 1);
            separator = ",";
        }
        if (separator == "{") text.Append("{}");
        else NewLine(text, depth).Append('}');
    }

    private static void WriteArray(StringBuilder text, JsonElement array, int depth)
    {
        string separator = "[";
        foreach (JsonElement item in array.EnumerateArray())
        {
            NewLine(text.Append(separator), depth + 1);
            WriteValue(text, item, depth + 1);
            separator = ",";
        }
        if (separator == "[") text.Append("[]");
        else NewLine(text, depth).Append(']');
    }

    private static StringBuilder NewLine(StringBuilder text, int depth) => text.Append('\n').Append(' ', 2 * depth);
}
