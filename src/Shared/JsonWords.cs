using System.Text.Json;
using System.Text.RegularExpressions;

namespace LowRank;

/// <summary>Describes in plain words what is wrong with a JSON text that .NET's reader rejects.</summary>
internal static partial class JsonWords
{
    private const int LongestValue = 60;

    /// <summary>The problem and its position, as a clause to follow a colon, without a full stop.</summary>
    /// <param name="failure">The reader's exception.</param>
    /// <param name="json">The text.</param>
    public static string Of(JsonException failure, string json)
    {
        string path = failure.Path is ['$', '.', ..] or ['$', '[', ..]
            ? failure.Path.TrimStart('$').TrimStart('.') : "";
        if (Converted().Match(failure.Message) is { Success: true } wrong)
            return $"{(path.Length == 0 ? "it" : path)} is {Found(json, failure.Path)}, " +
                $"{Expected(wrong.Groups["type"].Value, path.Length == 0)}";
        if (Unknown().Match(failure.Message) is { Success: true } unknown)
            return $"it has the key \"{unknown.Groups["key"].Value}\", which is not known";
        if (Missing().Match(failure.Message) is { Success: true } missing)
            return $"{missing.Groups["keys"].Value.Replace("'", "", StringComparison.Ordinal)} is missing";
        if (failure.Message.Contains("null values", StringComparison.Ordinal))
            return $"{(path.Length == 0 ? "a key" : path)} is null, expected a value";
        return $"it is no JSON from {Place(failure)} on ({Reason(failure.Message)})";
    }

    // For a value of a record's own parameter, the reader names the record instead of the expected type.
    private static string Expected(string type, bool isWhole) =>
        type.Contains("Collections", StringComparison.Ordinal) || type.Contains("[]", StringComparison.Ordinal)
            ? "expected a list"
        : type.Contains("Int", StringComparison.Ordinal) ? "expected a whole number"
        : type.Contains("Double", StringComparison.Ordinal) || type.Contains("Single", StringComparison.Ordinal)
        ? "expected a number"
        : type.Contains("Boolean", StringComparison.Ordinal) ? "expected true or false"
        : type.Contains("System.String", StringComparison.Ordinal) ? "expected a text"
        : isWhole ? "expected an object" : "expected a value of another kind";

    private static string Found(string json, string? path)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            JsonElement at = document.RootElement;
            foreach (Match part in Part().Matches(path ?? "$"))
            {
                at = part.Groups["index"] is { Success: true } index
                    ? at[int.Parse(index.Value, System.Globalization.CultureInfo.InvariantCulture)]
                    : at.GetProperty(part.Groups["name"].Value);
            }
            string text = at.GetRawText();
            return text.Length <= LongestValue ? text : text[..LongestValue] + "…";
        }
        catch (Exception e)
            when (e is JsonException or InvalidOperationException or KeyNotFoundException or IndexOutOfRangeException
            or OverflowException)
        {
            return "something else"; // the path is said
        }
    }

    private static string Place(JsonException failure) =>
        failure is { LineNumber: { } line, BytePositionInLine: { } column }
            ? FormattableString.Invariant($"line {line + 1}, column {column + 1}") : "its beginning";

    private static string Reason(string message) =>
        message.Split(" LineNumber:")[0].Split(" Path:")[0].Trim().TrimEnd('.');

    [GeneratedRegex(@"^The JSON value could not be converted to (?<type>\S+?)\.? ", RegexOptions.ExplicitCapture)]
    private static partial Regex Converted();

    [GeneratedRegex(@"^The JSON property '(?<key>[^']*)' could not be mapped", RegexOptions.ExplicitCapture)]
    private static partial Regex Unknown();

    [GeneratedRegex(@"missing required properties including: (?<keys>.*?)\.? *$", RegexOptions.ExplicitCapture)]
    private static partial Regex Missing();

    [GeneratedRegex(@"\.(?<name>[^.\[\]]+)|\[(?<index>\d+)\]|\['(?<name>[^']*)'\]", RegexOptions.ExplicitCapture)]
    private static partial Regex Part();
}
