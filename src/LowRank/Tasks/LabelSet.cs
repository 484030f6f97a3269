using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using LowRank.Data;

namespace LowRank.Tasks;

/// <summary>The labels of a task, by name and number.</summary>
internal sealed class LabelSet
{
    private readonly Dictionary<string, int> numbers;
    // for names that are numbers or booleans in any spelling
    private readonly Dictionary<string, int> canonical;
    private readonly bool goesByNumber;

    /// <summary>Numbers labels in order.</summary>
    /// <exception cref="InputException">There are no labels, or a name occurs twice.</exception>
    public LabelSet(IReadOnlyList<string> names)
    {
        if (names.Count == 0) throw new InputException("labels: found none, expected at least one name.");
        string[] twice = [.. names.GroupBy(name => name).Where(group => group.Count() > 1).Select(group => group.Key)];
        if (twice.Length > 0) throw new InputException($"labels: named more than once: {string.Join(", ", twice)}.");
        Names = names;
        numbers = names.Select((name, number) => KeyValuePair.Create(name, number)).ToDictionary();
        canonical = names.Select((name, number) => KeyValuePair.Create(LabelValue.Canonical(name), number))
            .GroupBy(entry => entry.Key)
            .Where(group => group.Count() == 1).SelectMany(group => group).ToDictionary();
        goesByNumber = !names.Any(name => LabelValue.Number(name) is not null);
    }

    /// <summary>The names, in the order of their numbers.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>The number of a row's label: a name, or a whole number if no name is a number.</summary>
    /// <exception cref="InputException">It is not a known label; the message lists the known ones.</exception>
    public int Number(JsonNode? label)
    {
        if (Text(label) is not { } name) throw new InputException(Missing(label));
        if (numbers.TryGetValue(name, out int number) || canonical.TryGetValue(LabelValue.Canonical(name), out number))
            return number;
        if (goesByNumber && LabelValue.ClassNumber(name) is { } index && index < Names.Count) return index;
        string shown = string.Join(", ", Names.Take(20)) + (Names.Count > 20 ? $" and {Names.Count - 20} more" : "");
        Words reason = LabelValue.Number(name) is not null && LabelValue.ClassNumber(name) is null
            ? Words.Of(
                $"Classes are whole numbers from 0; a -1 marks rows without a label in many data sets. Leave such " +
                $"rows out, or learn numbers{KnownSettings.Problem.To("regression").Aside}.")
            : Words.Of($"Correct the row, or name all labels{KnownSettings.Labels.Aside}.");
        throw new InputException($"the label {label!.ToJsonString()} is unknown; expected one of {shown}. {reason}");
    }

    /// <summary>A label as text without surrounding blanks: a name, a number or a boolean; null for anything else,
    /// including an empty text.</summary>
    public static string? Text(JsonNode? label) => LabelValue.Name(label);

    /// <summary>The problem of a label that is neither a text nor a number.</summary>
    internal static string Missing(JsonNode? label) => label?.GetValueKind() switch
    {
        null or JsonValueKind.Null => "the row has no label; expected one.",
        JsonValueKind.String => "the label is empty; expected a name or a number. Remove the row, or give it a label.",
        JsonValueKind.Array =>
        $"the label is the list {label.ToJsonString()}, expected one label; put a list of labels under \"labels\".",
        _ => $"the label is {Row.Describe(label)}, expected a name or a number.",
    };
}

/// <summary>Reads a label by its content: the number 1, the text "1" from a CSV file, and 1.0 are the same
/// label.</summary>
internal static partial class LabelValue
{
    private const double MostExact = 1L << 53; // larger whole numbers cannot be distinguished

    /// <summary>A label as text, without blanks around it; null where it is absent, empty, a list or an
    /// object.</summary>
    public static string? Name(JsonNode? label) => label?.GetValueKind() switch
    {
        JsonValueKind.String => label.GetValue<string>().Trim() is { Length: > 0 } name ? name : null,
        JsonValueKind.Number => Canonical(label.ToJsonString()),
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => null,
    };

    /// <summary>The canonical spelling of a number, true or false. Other names are unchanged.</summary>
    public static string Canonical(string name)
    {
        if (Truth(name) is { } truth) return truth ? "true" : "false";
        if (Number(name) is not { } number) return name;
        return number == Math.Floor(number) && Math.Abs(number) < MostExact
            ? ((long)number).ToString(CultureInfo.InvariantCulture)
            : number.ToString("R", CultureInfo.InvariantCulture);
    }

    /// <summary>The number in a text, in JSON's notation; null for any other text, including "01".</summary>
    public static double? Number(string name) => JsonNumber().IsMatch(name)
        ? double.Parse(name, CultureInfo.InvariantCulture) : null;

    /// <summary>The class number in a text, a whole number from 0; null for any other text.</summary>
    public static int? ClassNumber(string name) =>
        Number(name) is { } number && number == Math.Floor(number) && number is >= 0 and <= int.MaxValue
        ? (int)number : null;

    /// <summary>The boolean in a text, in upper or lower case; null for any other text.</summary>
    public static bool? Truth(string name) => bool.TryParse(name, out bool truth) ? truth : null;

    /// <summary>A number of a row: a JSON number or its text (in a CSV file every field is text); null for anything
    /// else.</summary>
    public static double? Number(JsonNode? value) => value?.GetValueKind() switch
    {
        JsonValueKind.Number => Number(value.ToJsonString()),
        JsonValueKind.String => Number(value.GetValue<string>().Trim()),
        _ => null,
    };

    /// <summary>1 or 0, as a number or a boolean; null for anything else.</summary>
    public static double? Flag(JsonNode? value) => value?.GetValueKind() switch
    {
        JsonValueKind.True => 1,
        JsonValueKind.False => 0,
        _ => Number(value) is 0 or 1 ? Number(value) : null,
    };

    /// <summary>A list of a row: a JSON list or its text; null for anything else.</summary>
    public static JsonArray? List(JsonNode? value)
    {
        if (value is JsonArray list) return list;
        if (value?.GetValueKind() != JsonValueKind.String || !value.GetValue<string>().AsSpan().TrimStart()
            .StartsWith("["))
            return null;
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

/// <summary>Whether the rows differ at all in what they teach.</summary>
internal sealed class LabelVariety
{
    private string? first;
    private long rows;
    private bool differ;

    /// <summary>Whether several rows all teach the same.</summary>
    public bool OnlyOne => rows > 1 && !differ;

    /// <summary>Adds what a row teaches.</summary>
    public void Add(string target)
    {
        rows++;
        first ??= target;
        differ |= target != first;
    }
}
