using System.Text.Json;

namespace LowRank.Adapters.Json;

/// <summary>Checks JSON values against the kinds that a key accepts, and describes both in words.</summary>
internal static class JsonShapes
{
    private static readonly (JsonShape Shape, string Words, Func<JsonElement, bool> Fits)[] Kinds =
    [
        (JsonShape.Boolean, "true or false", v => v.ValueKind is JsonValueKind.True or JsonValueKind.False),
        (JsonShape.Integer, "a whole number", IsInteger),
        (JsonShape.Number, "a number", IsNumber),
        (JsonShape.Text, "a text", IsText),
        (JsonShape.TextList, "a list of texts", v => IsListOf(v, IsText)),
        (JsonShape.IntegerList, "a list of whole numbers", v => IsListOf(v, IsInteger)),
        (JsonShape.List, "a list", v => v.ValueKind == JsonValueKind.Array),
        (JsonShape.IntegerMap, "an object of whole numbers", v => IsMapOf(v, IsInteger)),
        (JsonShape.NumberMap, "an object of numbers", v => IsMapOf(v, IsNumber)),
        (JsonShape.FlagListMap, "an object of lists of true and false", v => IsMapOf(v, IsFlagList)),
        (JsonShape.Map, "an object", v => v.ValueKind == JsonValueKind.Object),
        (JsonShape.Null, "null", v => v.ValueKind == JsonValueKind.Null),
    ];

    /// <summary>Whether the value is of one of the kinds.</summary>
    public static bool Fits(this JsonShape shape, JsonElement value) =>
        Kinds.Any(kind => shape.HasFlag(kind.Shape) && kind.Fits(value));

    /// <summary>The kinds in words: "a text, a list of texts or null".</summary>
    public static string Words(this JsonShape shape)
    {
        string[] words = [.. Kinds.Where(kind => shape.HasFlag(kind.Shape)).Select(kind => kind.Words)];
        return words.Length == 1 ? words[0] : $"{string.Join(", ", words[..^1])} or {words[^1]}";
    }

    /// <summary>A value for a message: on one line, truncated if long.</summary>
    public static string Brief(JsonElement value)
    {
        string text = value.GetRawText().ReplaceLineEndings(" ");
        return text.Length <= 60 ? text : text[..57] + "...";
    }

    private static bool IsInteger(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out _)
        && PythonJson.IsInteger(value.GetRawText());

    private static bool IsNumber(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && ConfigNumber.Parse(value.GetRawText()) is not null;

    private static bool IsFlagList(JsonElement value) =>
        IsListOf(value, item => item.ValueKind is JsonValueKind.True or JsonValueKind.False);

    private static bool IsText(JsonElement value) => value.ValueKind == JsonValueKind.String;

    private static bool IsListOf(JsonElement value, Func<JsonElement, bool> item) =>
        value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(item);

    private static bool IsMapOf(JsonElement value, Func<JsonElement, bool> item) =>
        value.ValueKind == JsonValueKind.Object && value.EnumerateObject().All(property => item(property.Value));
}

/// <summary>The kinds of JSON value that a key accepts.</summary>
[Flags]
internal enum JsonShape
{
    None = 0,
    Null = 1,
    Boolean = 1 << 1,
    Integer = 1 << 2,
    Number = 1 << 3,
    Text = 1 << 4,
    TextList = 1 << 5,
    IntegerList = 1 << 6,
    List = 1 << 7,
    IntegerMap = 1 << 8,
    NumberMap = 1 << 9,
    Map = 1 << 10,
    FlagListMap = 1 << 11,
}
