using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank;

/// <summary>Objects in JSON files of models, which may come from anywhere.</summary>
internal static class JsonObjects
{
    // Duplicate keys are refused: the last would hold for Python, the first for others, and the user would not learn
    // which.
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 64, AllowDuplicateProperties = false };

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="most">Bytes that it may have.</param>
    /// <exception cref="InputException">It holds no JSON object, or one that cannot be meant.</exception>
    public static JsonObject Read(string path, int most = SmallFile.MostOfSettings) =>
        Parse(SmallFile.ReadText(path, most), path);

    /// <summary>Reads a text.</summary>
    /// <param name="text">JSON.</param>
    /// <param name="place">Its name in messages.</param>
    /// <exception cref="InputException">It is no JSON object, or one that cannot be meant.</exception>
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

    // Half of a surrogate pair is read when it is asked for, and only then found to be no text.
    private static void RequireCharacters(JsonNode? node)
    {
        if (node is JsonObject map)
            foreach ((_, JsonNode? value) in map) RequireCharacters(value);
        else if (node is JsonArray list)
            foreach (JsonNode? item in list) RequireCharacters(item);
        else if (node?.GetValueKind() == JsonValueKind.String) node.GetValue<string>();
    }
}
