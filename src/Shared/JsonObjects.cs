using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank;

/// <summary>JSON objects in model files, which may come from untrusted sources.</summary>
internal static class JsonObjects
{
    // Duplicate keys are rejected: Python uses the last one and other readers the first, and the user would not notice.
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 64, AllowDuplicateProperties = false };

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="most">Maximum size in bytes.</param>
    /// <exception cref="InputException">The file does not contain a valid JSON object.</exception>
    public static JsonObject Read(string path, int most = SmallFile.MostOfSettings) =>
        Parse(SmallFile.ReadText(path, most), path);

    /// <summary>Reads a text.</summary>
    /// <param name="text">JSON.</param>
    /// <param name="place">Its name in messages.</param>
    /// <exception cref="InputException">The text is not a valid JSON object.</exception>
    public static JsonObject Parse(string text, string place)
    {
        try
        {
            if (JsonNode.Parse(text, documentOptions: Options) is not JsonObject root)
                throw new InputException($"{place} does not hold a JSON object.");
            if (text.Contains("\\ud", StringComparison.OrdinalIgnoreCase)) RequireCharacters(root);
            return root;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InputException(
                $"{place} is not valid JSON: " +
                $"{(e is JsonException unread ? JsonWords.Of(unread, text) : e.Message.TrimEnd('.'))}.", e);
        }
    }

    /// <summary>Reads every text of a value: an unpaired surrogate is only detected when the string is accessed.
    /// </summary>
    /// <exception cref="InvalidOperationException">A text has an unpaired surrogate.</exception>
    internal static void RequireCharacters(JsonNode? node)
    {
        if (node is JsonObject map)
            foreach ((_, JsonNode? value) in map) RequireCharacters(value);
        else if (node is JsonArray list)
            foreach (JsonNode? item in list) RequireCharacters(item);
        else if (node?.GetValueKind() == JsonValueKind.String) node.GetValue<string>();
    }
}
