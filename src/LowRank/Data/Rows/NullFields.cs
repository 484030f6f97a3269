using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>Treats null fields as absent. Tables write null if a row lacks a field: exports of rows in several forms,
/// and of messages only some of which call a tool.</summary>
internal static class NullFields
{
    /// <summary>Removes null fields at any depth, except the content of a message, by which templates recognise a
    /// message without words.</summary>
    public static void Remove(JsonNode? node)
    {
        if (node is JsonArray list)
        {
            foreach (JsonNode? item in list) Remove(item);
            return;
        }
        if (node is not JsonObject fields) return;
        bool any = false;
        foreach ((string key, JsonNode? value) in fields)
        {
            any |= value is null && !IsContent(fields, key);
            Remove(value);
        }
        if (!any) return;
        KeyValuePair<string, JsonNode?>[] kept =
            [.. fields.Where(field => field.Value is not null || IsContent(fields, field.Key))];
        fields.Clear(); // removing them one by one would shift the rest each time
        foreach ((string key, JsonNode? value) in kept) fields.Add(key, value);
    }

    private static bool IsContent(JsonObject fields, string key) => key == "content" && fields.ContainsKey("role");
}
