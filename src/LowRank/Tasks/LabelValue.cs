using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace LowRank.Tasks;

/// <summary>Reads one label of a row by its content: the number 1, the text "1" of a CSV file and 1.0 are the same label.</summary>
internal static partial class LabelValue
{
    private const double MostExact = 1L << 53; // whole numbers beyond it are not told apart

    /// <summary>A label as text, without blanks around it; null where it is absent, empty, a list or an object.</summary>
    public static string? Name(JsonNode? label) => label?.GetValueKind() switch
    {
        JsonValueKind.String => label.GetValue<string>().Trim() is { Length: > 0 } name ? name : null,
        JsonValueKind.Number => Canonical(label.ToJsonString()),
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => null,
    };

    /// <summary>The one spelling of what can be spelled in several ways: a number, true and false. Other names stay as they are.</summary>
    public static string Canonical(string name)
    {
        if (Truth(name) is { } truth) return truth ? "true" : "false";
        if (Number(name) is not { } number) return name;
        return number == Math.Floor(number) && Math.Abs(number) < MostExact ? ((long)number).ToString(CultureInfo.InvariantCulture) : number.ToString("R", CultureInfo.InvariantCulture);
    }

    /// <summary>The number that a text is, as JSON writes numbers; null for any other text, "01" too.</summary>
    public static double? Number(string name) => JsonNumber().IsMatch(name) ? double.Parse(name, CultureInfo.InvariantCulture) : null;

    /// <summary>The number of a class that a text names: whole, from 0; null for any other.</summary>
    public static int? ClassNumber(string name) => Number(name) is { } number && number == Math.Floor(number) && number is >= 0 and <= int.MaxValue ? (int)number : null;

    /// <summary>The truth value that a text names, in upper or lower case; null for any other.</summary>
    public static bool? Truth(string name) => bool.TryParse(name, out bool truth) ? truth : null;

    /// <summary>A number of a row: a JSON number, or a text that is one, as every field of a CSV file is a text; null for any other.</summary>
    public static double? Number(JsonNode? value) => value?.GetValueKind() switch
    {
        JsonValueKind.Number => Number(value.ToJsonString()),
        JsonValueKind.String => Number(value.GetValue<string>().Trim()),
        _ => null,
    };

    /// <summary>1 or 0, as a number or a truth value; null for any other.</summary>
    public static double? Flag(JsonNode? value) => value?.GetValueKind() switch
    {
        JsonValueKind.True => 1,
        JsonValueKind.False => 0,
        _ => Number(value) is 0 or 1 ? Number(value) : null,
    };

    /// <summary>A list of a row: a JSON list, or a text that is one; null for any other.</summary>
    public static JsonArray? List(JsonNode? value)
    {
        if (value is JsonArray list) return list;
        if (value?.GetValueKind() != JsonValueKind.String || !value.GetValue<string>().AsSpan().TrimStart().StartsWith("[")) return null;
        try
        {
            return JsonNode.Parse(value.GetValue<string>()) as JsonArray;
        }
        catch (JsonException)
        {
            return null; // a text that begins with a bracket
        }
    }

    [GeneratedRegex(@"\A-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\z")]
    private static partial Regex JsonNumber();
}
