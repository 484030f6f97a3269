using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>Takes fields that are null for absent. Tables write null where a row has no such field: exports of rows of
/// several forms, and of messages of which some alone call a tool.</summary>
internal static class NullFields
{
    /// <summary>Removes them, at any depth. The content of a message stays: templates tell a message without words by
    /// it.</summary>
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
        fields.Clear(); // one by one would move all that follow, each time
        foreach ((string key, JsonNode? value) in kept) fields.Add(key, value);
    }

    private static bool IsContent(JsonObject fields, string key) => key == "content" && fields.ContainsKey("role");
}
