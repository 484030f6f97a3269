using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary>Messages with a text or a prompt beside them that repeats a part of them, as UltraChat has: the row is a conversation.</summary>
internal sealed class MessagesBesideForm : IForeignForm
{
    private static readonly string[] Repeated = ["text", "prompt", "completion"];

    public string Name => "messages and a text or prompt beside them";

    public string ReadAs => "messages; what is beside them is not learned";

    public bool Fits(JsonObject row) => row["messages"] is JsonArray && Repeated.Any(row.ContainsKey);

    public JsonObject Convert(JsonObject row)
    {
        foreach (string key in Repeated) row.Remove(key);
        return row;
    }
}
