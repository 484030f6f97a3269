using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary>What is asked and what is answered, under the names that well-known data sets have: GSM8K's, MetaMathQA's, those of sets of
/// summaries.</summary>
internal sealed class PairForm : IForeignForm
{
    private static readonly (string Asked, string Answered)[] Pairs =
        [("question", "answer"), ("question", "response"), ("query", "response"), ("query", "answer"), ("document", "summary"), ("article", "highlights"), ("dialogue", "summary")];

    // With them the pair is not all there is to say.
    private static readonly string[] Others = ["text", "prompt", "completion", "messages", "instruction", "context", "choices", "options", "system_prompt", "input_ids"];

    public string Name => "a pair of columns, such as question and answer";

    public string ReadAs => "prompt and completion, parted by a line break; data.template writes them otherwise";

    public IReadOnlyList<string> Answers { get; } = [.. Pairs.Select(pair => pair.Answered).Distinct()];

    public bool Fits(JsonObject row) => !Others.Any(row.ContainsKey) && Of(row) is not null;

    public JsonObject Convert(JsonObject row)
    {
        (string asked, string answered) = Of(row)!.Value;
        var fields = new RowFields(row);
        string prompt = fields.FilledText(asked, "Expected what is asked."), completion = fields.FilledText(answered, "Expected the text to learn.");
        fields.ThrowIfWrong();
        row.Remove(asked);
        row.Remove(answered);
        (row["prompt"], row["completion"]) = (prompt + "\n", completion);
        return row;
    }

    private static (string Asked, string Answered)? Of(JsonObject row) =>
        Pairs.Where(pair => row.ContainsKey(pair.Asked) && row.ContainsKey(pair.Answered)).Select(pair => ((string, string)?)pair).FirstOrDefault();
}
