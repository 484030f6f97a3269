using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary>Names of columns that well-known data sets have for what tasks on labels, tags and pairs read: GLUE's, CoNLL's, those of
/// sentence-transformers; and SQuAD's answers as a list. A row that has the tasks' own names is left as it is.</summary>
internal sealed class KnownColumns
{
    private static readonly (string[] Theirs, string[] Ours)[] Sets =
    [
        (["premise", "hypothesis"], ["text", "text_pair"]),
        (["sentence1", "sentence2"], ["text", "text_pair"]),
        (["question1", "question2"], ["text", "text_pair"]),
        (["question", "sentence"], ["text", "text_pair"]),
        (["sentence"], ["text"]),
        (["anchor"], ["text"]),
        (["ner_tags"], ["tags"]),
    ];

    private readonly Dictionary<int, long> counts = [];

    /// <summary>How many rows had which names, a sentence each.</summary>
    public IReadOnlyList<string> Notes => [.. counts.OrderBy(pair => pair.Key).Select(pair =>
        $"{(pair.Value == 1 ? "1 row has" : $"{pair.Value} rows have")} {string.Join(", ", Sets[pair.Key].Theirs)}, read as {string.Join(", ", Sets[pair.Key].Ours)}.")];

    /// <summary>Gives a row the tasks' names.</summary>
    public void Rename(JsonObject row)
    {
        if (row["answers"] is JsonArray answers) row["answers"] = Columnar(answers);
        int set = Array.FindIndex(Sets, known => known.Theirs.All(row.ContainsKey) && !known.Ours.Any(row.ContainsKey) && !row.ContainsKey("input_ids"));
        if (set < 0) return;
        foreach ((string theirs, string ours) in Sets[set].Theirs.Zip(Sets[set].Ours))
        {
            JsonNode? value = row[theirs];
            row.Remove(theirs);
            row[ours] = value;
        }
        counts[set] = counts.GetValueOrDefault(set) + 1;
    }

    // [{"text", "answer_start"}, …] as SQuAD's own file has it; anything else is left for the task to refuse.
    private static JsonNode Columnar(JsonArray answers)
    {
        if (!answers.All(answer => answer is JsonObject found && found.ContainsKey("text") && found.ContainsKey("answer_start"))) return answers.DeepClone();
        JsonArray Column(string key) => new([.. answers.Select(answer => answer![key]?.DeepClone())]);
        return new JsonObject { ["text"] = Column("text"), ["answer_start"] = Column("answer_start") };
    }
}
