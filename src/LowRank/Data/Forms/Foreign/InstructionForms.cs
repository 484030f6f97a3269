using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary><c>{"instruction"[, "input"], "output"}</c>, as Stanford Alpaca published it, with Alpaca's own
/// prompt.</summary>
internal sealed class AlpacaForm : IForeignForm
{
    // the published rows repeat everything in "text"
    private static readonly string[] Own = ["instruction", "input", "output", "text", "system", "history"];

    public string Name => "Alpaca's form (instruction, input, output)";

    public Words ReadAs => Words.Of(
        $"prompt and completion in Alpaca's own wording; {KnownSettings.Template} can change it");

    public IReadOnlyList<string> Answers { get; } = ["output"];

    public bool Fits(JsonObject row) => row.ContainsKey("instruction") && row.ContainsKey("output");

    public JsonObject Convert(JsonObject row)
    {
        var fields = new RowFields(row);
        string instruction = fields.FilledText("instruction", "Expected what the model is asked."),
            output = fields.FilledText("output", "Expected the text to learn.");
        string input = row["input"] is null ? "" : fields.AnyText("input");
        if (row["system"] is { } system && Row.AsText(system) != "")
            fields.Problem(
                $"\"system\" is not part of Alpaca's prompt. Add it to {KnownSettings.Template}, or remove it.");
        if (row["history"] is { } history && history is not JsonArray { Count: 0 })
            fields.Problem("\"history\" is not part of Alpaca's form. Write conversations as {\"messages\"}.");
        fields.ThrowIfWrong();
        foreach (string key in Own) row.Remove(key);
        row["prompt"] = input.Length == 0
            ? "Below is an instruction that describes a task. Write a response that appropriately completes the " +
            $"request.\n\n### Instruction:\n{instruction}\n\n### Response:\n"
            : "Below is an instruction that describes a task, paired with an input that provides further context. " +
            "Write a response that appropriately completes the request.\n\n"
                + $"### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n";
        row["completion"] = output;
        return row;
    }
}

/// <summary><c>{"instruction"[, "context"], "response"}</c>, the form of Databricks' Dolly: Alpaca's form with other
/// names.</summary>
internal sealed class DollyForm : IForeignForm
{
    private readonly AlpacaForm alpaca = new();

    public string Name => "Dolly's form (instruction, context, response)";

    public Words ReadAs => alpaca.ReadAs;

    public IReadOnlyList<string> Answers { get; } = ["response"];

    public bool Fits(JsonObject row) =>
        row.ContainsKey("instruction") && row.ContainsKey("response") && !row.ContainsKey("output");

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

/// <summary>A question and its answer, under the names used by well-known data sets: GSM8K, MetaMathQA, and data sets
/// of summaries.</summary>
internal sealed class PairForm : IForeignForm
{
    private static readonly (string Asked, string Answered)[] Pairs =
        [("question", "answer"), ("question", "response"), ("query", "response"), ("query", "answer"),
            ("document", "summary"), ("article", "highlights"), ("dialogue", "summary")];

    // Fields that say more than the pair.
    private static readonly string[] Others =
        ["text", "prompt", "completion", "messages", "instruction", "context", "choices", "options",
        "system_prompt", "input_ids"];

    public string Name => "a pair of columns, such as question and answer";

    public Words ReadAs => Words.Of(
        $"prompt and completion, separated by a line break; {KnownSettings.Template} can change it");

    public IReadOnlyList<string> Answers { get; } = [.. Pairs.Select(pair => pair.Answered).Distinct()];

    public bool Fits(JsonObject row) => !Others.Any(row.ContainsKey) && Of(row) is not null;

    public JsonObject Convert(JsonObject row)
    {
        (string asked, string answered) = Of(row)!.Value;
        var fields = new RowFields(row);
        string prompt = fields.FilledText(asked, "Expected what is asked."),
            completion = fields.FilledText(answered, "Expected the text to learn.");
        fields.ThrowIfWrong();
        row.Remove(asked);
        row.Remove(answered);
        (row["prompt"], row["completion"]) = (prompt + "\n", completion);
        return row;
    }

    private static (string Asked, string Answered)? Of(JsonObject row) =>
        Pairs.Where(pair => row.ContainsKey(pair.Asked) && row.ContainsKey(pair.Answered))
            .Select(pair => ((string, string)?)pair).FirstOrDefault();
}

/// <summary>Preferences (<c>chosen</c> and <c>rejected</c>; a completion with a verdict; steps with verdicts) where
/// texts are learned. Learning all their answers would be wrong, so they are refused.</summary>
internal sealed class PreferenceForm : IForeignForm
{
    public string Name => "TRL's preference form";

    public Words ReadAs => Words.Of($"nothing");

    public bool Fits(JsonObject row) => (row.ContainsKey("chosen") && row.ContainsKey("rejected"))
        || (row.ContainsKey("completion") && row["label"]?.GetValueKind() is JsonValueKind.True or JsonValueKind.False)
        || (row["completions"] is JsonArray && row["labels"] is JsonArray);

    public JsonObject Convert(JsonObject row) => throw new InputException(row.ContainsKey("chosen")
        ? Words.Of(
            $"the row is a preference (\"chosen\" and \"rejected\"), and texts are learned. Learn from preferences" +
            $"{KnownSettings.Objective.To("dpo").Aside}, or map the chosen answers alone: {{completion: chosen}}, or " +
            $"{{messages: chosen}} if they are whole conversations.")
        : row.ContainsKey("completion")
            ? Words.Of(
                $"the row is a completion with a verdict (\"label\" true or false), and texts are learned. Learn " +
                $"from verdicts{KnownSettings.Objective.To("kto").Aside}, or keep the rows that are right, without " +
                    $"\"label\".")
            : Words.Plain("the row has \"completions\" with \"labels\" of their steps, and no task here learns from " +
            "those. Write {\"prompt\", \"completion\"}."));
}
