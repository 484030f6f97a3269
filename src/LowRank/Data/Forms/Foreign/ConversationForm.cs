using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary><c>{"conversation": [{"input", "output"}, …]}</c>, as Capybara has it.</summary>
internal sealed class ConversationForm : IForeignForm
{
    private const string Key = "conversation";

    public string Name => "Capybara's form (conversation with input and output)";

    public string ReadAs => "messages";

    public bool Fits(JsonObject row) => row[Key] is JsonArray turns && !row.ContainsKey("messages") && turns.Count > 0 && turns.All(turn => turn is JsonObject pair && pair.ContainsKey("input") && pair.ContainsKey("output"));

    public JsonObject Convert(JsonObject row)
    {
        var fields = new RowFields(row);
        var messages = new JsonArray();
        foreach (JsonObject turn in ((JsonArray)row[Key]!).Cast<JsonObject>())
        {
            foreach ((string key, string role) in new[] { ("input", "user"), ("output", "assistant") })
            {
                if (Sample.AsText(turn[key]) is { } words) messages.Add(new JsonObject { ["role"] = role, ["content"] = words });
                else fields.Problem($"\"conversation\"[{messages.Count / 2}].\"{key}\" is {Sample.Describe(turn[key])}, expected a text.");
            }
        }
        fields.ThrowIfWrong();
        row.Remove(Key);
        row["messages"] = messages;
        return row;
    }
}
