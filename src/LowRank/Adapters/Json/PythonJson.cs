using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;

namespace LowRank.Adapters.Json;

/// <summary>JSON as Python's <c>json.dumps(value, indent=2, sort_keys=True)</c> writes it: two spaces, keys sorted by
/// code point at every depth, everything but printable ASCII escaped, floats as <c>repr</c>, no newline at the
/// end.</summary>
internal static class PythonJson
{
    /// <summary>Sorts keys like Python sorts strings: by code point, which differs from UTF-16 order above
    /// U+FFFF.</summary>
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

    /// <summary>The text of an object with the given values.</summary>
    /// <exception cref="JsonException">It contains a number that Python would read as infinite.</exception>
    public static string Write(IEnumerable<KeyValuePair<string, JsonElement>> values)
    {
        var text = new StringBuilder();
        WriteObject(text, values, 0);
        return text.ToString();
    }

    /// <summary>The text of a single value, without indentation.</summary>
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

    /// <summary>Whether a number's text is a Python integer; all others are floats.</summary>
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
        // "-0" is 0 in Python
        if (IsInteger(raw))
            return BigInteger.Parse(raw, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture);
        double number = value.GetDouble();
        return double.IsFinite(number) ? PythonFloat.Text(number)
            : throw new JsonException($"The number {raw} is beyond the range of a float.");
    }

    private static void WriteObject(
        StringBuilder text, IEnumerable<KeyValuePair<string, JsonElement>> values, int depth)
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

/// <summary>Numbers as Python writes them, for files that must equal Python's byte for byte.</summary>
internal static class PythonFloat
{
    /// <summary>The text of Python's <c>repr(float)</c>: the shortest digits that parse to the same value, with an
    /// exponent if it is below -4 or above 15, and always with a decimal point or an exponent (<c>8.0</c>,
    /// <c>1e-05</c>).</summary>
    /// <param name="value">A finite number.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number is not finite.</exception>
    public static string Text(double value)
    {
        if (!double.IsFinite(value))
            throw new ArgumentOutOfRangeException(nameof(value), value, "JSON has no text for it");
        // "R" also gives the shortest digits, but switches to exponents elsewhere and omits ".0".
        string shortest = value.ToString("R", CultureInfo.InvariantCulture);
        string sign = shortest.StartsWith('-') ? "-" : "";
        string[] parts = shortest.TrimStart('-').Split('E');
        string[] mantissa = parts[0].Split('.');
        string digits = mantissa[0] + (mantissa.Length > 1 ? mantissa[1] : "");
        int point = mantissa[0].Length + (parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 0);
        int leadingZeros = digits.Length - digits.TrimStart('0').Length;
        digits = digits.Trim('0');
        if (digits.Length == 0) return sign + "0.0";
        return sign + Layout(digits, point - leadingZeros);
    }

    // digits without leading or trailing zeros; the decimal point comes before digit number `point`
    private static string Layout(string digits, int point)
    {
        int exponent = point - 1;
        if (exponent is < -4 or > 15)
        {
            string fraction = digits.Length > 1 ? "." + digits[1..] : "";
            return $"{digits[0]}{fraction}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        }
        if (point <= 0) return "0." + new string('0', -point) + digits;
        return digits.Length <= point
            ? digits + new string('0', point - digits.Length) + ".0"
            : digits[..point] + "." + digits[point..];
    }
}
