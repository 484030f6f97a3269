using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Data;

/// <summary>A row of a file with all its fields.</summary>
/// <param name="Place">The place of the row.</param>
/// <param name="Fields">Its fields.</param>
public sealed record Row(DataPlace Place, JsonObject Fields)
{
    /// <summary>The text of a field; null if the row has no such field.</summary>
    /// <exception cref="InputException">The field is not a text.</exception>
    public string? Text(string key) => Fields.TryGetPropertyValue(key, out JsonNode? value)
        ? AsText(value)
            ?? throw Unexpected($"\"{key}\" is {Describe(value)}, expected a text.")
        : null;

    /// <summary>The texts of a field such as <c>"facts": ["…", "…"]</c>; none if the row has no such field.</summary>
    /// <exception cref="InputException">The field is not a list of texts.</exception>
    public IReadOnlyList<string> Texts(string key)
    {
        if (!Fields.TryGetPropertyValue(key, out JsonNode? value)) return [];
        if (value is not JsonArray list)
            throw Unexpected($"\"{key}\" is {Describe(value)}, expected a list of texts.");
        return [.. list.Select((item, i) => AsText(item)
            ?? throw Unexpected($"\"{key}\"[{i}] is {Describe(item)}, expected a text."))];
    }

    private InputException Unexpected(string problem) => new(new Problem(problem) { Place = $"{Place}" });

    /// <summary>The problem of a row without a field.</summary>
    /// <param name="row">The row.</param>
    /// <param name="key">The field.</param>
    /// <param name="more">What else can be done, as a sentence; may be empty.</param>
    internal static Problem Lacking(JsonObject row, string key, string more = "") =>
        new($"the row has no \"{key}\"; columns found: {Columns(row)}. Map one of them: {{{key}: …}}." +
            $"{(more.Length == 0 ? "" : " ")}{more}")
        {
            Code = ProblemCodes.RowLacksField, Found = Columns(row), Expected = key,
            Remedy = KnownSettings.Columns.To(key),
        };

    /// <summary>The names of a row's fields, shortened for a wide row.</summary>
    internal static string Columns(JsonObject row)
    {
        const int MostNamed = 20, Longest = 60;
        if (row.Count == 0) return "(none)";
        return string.Join(
            ", ", row.Take(MostNamed)
            .Select(field => $"\"{(field.Key.Length > Longest ? field.Key[..Longest] + "…" : field.Key)}\""))
            + (row.Count > MostNamed ? $" and {row.Count - MostNamed} more" : "");
    }

    internal static string? AsText(JsonNode? value) =>
        value?.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;

    internal static string Describe(JsonNode? value) => value?.GetValueKind() switch
    {
        null or JsonValueKind.Null => "null",
        JsonValueKind.String => "a text",
        JsonValueKind.Number => $"the number {value.ToJsonString()}",
        JsonValueKind.Array => "a list",
        JsonValueKind.Object => "an object",
        _ => value.ToJsonString(),
    };
}
