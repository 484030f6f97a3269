using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary>Tools as a list, or as a text that holds it in JSON, for tables whose columns hold texts alone.</summary>
internal static class ToolList
{
    /// <summary>A list of its own; null where there are none.</summary>
    public static JsonArray? Read(JsonObject row, RowFields fields)
    {
        JsonNode? tools = row["tools"];
        if (tools is null || Sample.AsText(tools) is { } blank && string.IsNullOrWhiteSpace(blank)) return null;
        try
        {
            if ((Sample.AsText(tools) is { } text ? JsonNode.Parse(text) : tools.DeepClone()) is JsonArray list) return list;
        }
        catch (JsonException)
        {
            // said below, as any other text that is no list
        }
        fields.Problem($"\"tools\" is {Sample.Describe(tools)}, expected a list of tools, or a text that holds one as JSON.");
        return null;
    }
}
