using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary>Preferences (<c>chosen</c> and <c>rejected</c>; a completion with a verdict; steps with verdicts), from which no task
/// here learns. Learning all their answers alike would be wrong, so they are refused.</summary>
internal sealed class PreferenceForm : IForeignForm
{
    public string Name => "TRL's preference form";

    public string ReadAs => "nothing";

    public bool Fits(JsonObject row) => (row.ContainsKey("chosen") && row.ContainsKey("rejected"))
        || (row.ContainsKey("completion") && row["label"]?.GetValueKind() is JsonValueKind.True or JsonValueKind.False)
        || (row["completions"] is JsonArray && row["labels"] is JsonArray);

    public JsonObject Convert(JsonObject row) => throw new InputException(row.ContainsKey("chosen")
        ? "the row is a preference (\"chosen\" and \"rejected\"), and no task here learns from preferences. To learn the chosen answers alone, map them: data.columns: {completion: chosen}, or {messages: chosen} where they are whole conversations."
        : row.ContainsKey("completion")
            ? "the row is a completion with a verdict (\"label\" true or false), and no task here learns from verdicts. Keep the rows that are right, without \"label\"."
            : "the row has \"completions\" with \"labels\" of their steps, and no task here learns from those. Write {\"prompt\", \"completion\"}.");
}
