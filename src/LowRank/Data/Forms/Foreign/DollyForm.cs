using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary><c>{"instruction"[, "context"], "response"}</c>, as Databricks' Dolly has it: Alpaca's form under other names.</summary>
internal sealed class DollyForm : IForeignForm
{
    private readonly AlpacaForm alpaca = new();

    public string Name => "Dolly's form (instruction, context, response)";

    public string ReadAs => alpaca.ReadAs;

    public IReadOnlyList<string> Answers { get; } = ["response"];

    public bool Fits(JsonObject row) => row.ContainsKey("instruction") && row.ContainsKey("response") && !row.ContainsKey("output");

    public JsonObject Convert(JsonObject row)
    {
        foreach ((string theirs, string ours) in new[] { ("context", "input"), ("response", "output") })
        {
            if (row[theirs] is not { } value) continue;
            row.Remove(theirs);
            row[ours] = value;
        }
        return alpaca.Convert(row);
    }
}
