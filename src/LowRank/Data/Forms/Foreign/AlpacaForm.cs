using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary><c>{"instruction"[, "input"], "output"}</c>, as Stanford Alpaca published it, with Alpaca's own prompt.</summary>
internal sealed class AlpacaForm : IForeignForm
{
    private static readonly string[] Own = ["instruction", "input", "output", "text", "system", "history"]; // its published rows repeat all in "text"

    public string Name => "Alpaca's form (instruction, input, output)";

    public string ReadAs => "prompt and completion in Alpaca's own words; data.template writes them otherwise";

    public IReadOnlyList<string> Answers { get; } = ["output"];

    public bool Fits(JsonObject row) => row.ContainsKey("instruction") && row.ContainsKey("output");

    public JsonObject Convert(JsonObject row)
    {
        var fields = new RowFields(row);
        string instruction = fields.FilledText("instruction", "Expected what the model is asked."), output = fields.FilledText("output", "Expected the text to learn.");
        string input = row["input"] is null ? "" : fields.AnyText("input");
        if (row["system"] is { } system && Sample.AsText(system) != "") fields.Problem("\"system\" is no part of Alpaca's prompt. Write it into data.template, or remove it.");
        if (row["history"] is { } history && history is not JsonArray { Count: 0 }) fields.Problem("\"history\" is no part of Alpaca's form. Write conversations as {\"messages\"}.");
        fields.ThrowIfWrong();
        foreach (string key in Own) row.Remove(key);
        row["prompt"] = input.Length == 0
            ? $"Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n### Response:\n"
            : "Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n"
                + $"### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n";
        row["completion"] = output;
        return row;
    }
}
