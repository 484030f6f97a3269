using System.Text.Json;

namespace LowRank.Recipes.Runs;

/// <summary>A line of <c>metrics.jsonl</c>: a step's or an evaluation's measurements.</summary>
/// <param name="Step">Optimizer steps taken by then.</param>
/// <param name="Values">Every number of the line; null, and texts such as NaN, are no finite numbers.</param>
/// <param name="Texts">Texts that the model wrote.</param>
internal sealed record MetricLine(long Step, IReadOnlyList<KeyValuePair<string, double>> Values, IReadOnlyList<RunText> Texts)
{
    private const long LargestStep = 1L << 53; // beyond it pictures cannot tell steps apart
    private const string StepKey = "step", TextsKey = "generations";
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 16 };

    /// <summary>Reads a line.</summary>
    /// <param name="line">UTF-8.</param>
    /// <param name="problem">What is wrong with it, as the end of a sentence, where the result is null.</param>
    public static MetricLine? TryParse(ReadOnlySpan<byte> line, out string? problem)
    {
        var reader = new Utf8JsonReader(line, new JsonReaderOptions { MaxDepth = Options.MaxDepth });
        try
        {
            using JsonDocument document = JsonDocument.ParseValue(ref reader);
            if (reader.BytesConsumed < line.Length && line[(int)reader.BytesConsumed..].ContainsAnyExcept(" \t"u8)) throw new JsonException("more follows");
            return Of(document.RootElement, out problem);
        }
        // Lone surrogates in escapes are found when the text is taken.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            problem = "is not JSON";
            return null;
        }
    }

    private static MetricLine? Of(JsonElement line, out string? problem)
    {
        problem = "has no step";
        if (line.ValueKind != JsonValueKind.Object || !line.TryGetProperty(StepKey, out JsonElement number)) return null;
        problem = "has a step that is no whole number from 0";
        if (number.ValueKind != JsonValueKind.Number || !number.TryGetInt64(out long step) || step is < 0 or > LargestStep) return null;
        problem = null;
        var values = new List<KeyValuePair<string, double>>();
        foreach (JsonProperty property in line.EnumerateObject())
            if (!property.NameEquals(StepKey) && Number(property.Value) is { } value) values.Add(new(property.Name, value));
        return new MetricLine(step, values, line.TryGetProperty(TextsKey, out JsonElement texts) ? RunTexts(texts, step) : []);
    }

    private static double? Number(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Number => value.TryGetDouble(out double number) ? number : double.NaN,
        JsonValueKind.Null => double.NaN,
        JsonValueKind.String when value.GetString() is "NaN" or "Infinity" or "-Infinity" => double.NaN,
        _ => null, // a text or a list is no measurement
    };

    private static RunText[] RunTexts(JsonElement list, long step) => list.ValueKind != JsonValueKind.Array ? []
        : [.. list.EnumerateArray().Select(item => item.ValueKind switch
        {
            JsonValueKind.String => new RunText(step, "", item.GetString()!),
            JsonValueKind.Object => new RunText(step, Text(item, "prompt"), Text(item, "text")),
            _ => null,
        }).OfType<RunText>()];

    private static string Text(JsonElement item, string key) =>
        item.TryGetProperty(key, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
