using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary>Recognises forms that other programs' data has, and counts them. Rows of different forms may stand in one
/// file.</summary>
internal sealed class ForeignForms
{
    // Sorted by name: the order in which they are tried.
    private static readonly IForeignForm[] All =
    [
        .. new IForeignForm[]
        {
            new AlpacaForm(), new ConversationForm(), new ConversationalPromptForm(), new DollyForm(),
            new MessagesBesideForm(), new OpenAiForm(), new PairForm(), new PreferenceForm(), new ShareGptForm(),
        }.OrderBy(form => form.Name, StringComparer.Ordinal),
    ];

    private static readonly string[] Ours = ["text", "prompt", "messages", "input_ids"];
    private readonly Dictionary<IForeignForm, long> counts = [];

    /// <summary>How many rows had which form, a sentence each.</summary>
    public IReadOnlyList<string> Notes =>
        [.. counts.OrderByDescending(pair => pair.Value)
            .Select(pair =>
            $"{(pair.Value == 1 ? "1 row has" : $"{pair.Value} rows have")} {pair.Key.Name}, read as " +
            $"{pair.Key.ReadAs}.")];

    /// <summary>A row in a form of this library's; the same where it has no foreign one. What one form makes may be
    /// another's: messages with tools as text, once the prompt beside them is gone.</summary>
    /// <param name="row">The row; may be changed.</param>
    /// <param name="unanswered">Whether what is learned may be missing.</param>
    /// <exception cref="InputException">It is wrong, without its place.</exception>
    public JsonObject Convert(JsonObject row, bool unanswered = false)
    {
        if (unanswered && !Ours.Any(row.ContainsKey) && Completed(row) is { } whole)
        {
            row = Convert(whole);
            row.Remove("completion");
            return row;
        }
        foreach (IForeignForm form in All)
        {
            if (!form.Fits(row)) continue;
            row = form.Convert(row);
            counts[form] = counts.GetValueOrDefault(form) + 1;
        }
        return row;
    }

    // With a word in place of its answer, where that makes it a row of a form; null elsewhere.
    private static JsonObject? Completed(JsonObject row)
    {
        if (All.Any(form => form.Fits(row))) return null;
        foreach (IForeignForm form in All)
        {
            foreach (string answer in form.Answers.Where(answer => !row.ContainsKey(answer)))
            {
                row[answer] = "?";
                if (form.Fits(row)) return row;
                row.Remove(answer);
            }
        }
        return null;
    }
}

/// <summary>A form that other programs' data has, listed in <see cref="ForeignForms"/>.</summary>
internal interface IForeignForm
{
    /// <summary>Whose form it is, as notes name it.</summary>
    string Name { get; }

    /// <summary>What it is read as.</summary>
    string ReadAs { get; }

    /// <summary>The fields of what is learned, which rows to be answered lack.</summary>
    IReadOnlyList<string> Answers => [];

    /// <summary>Whether a row has it.</summary>
    bool Fits(JsonObject row);

    /// <summary>The row in a form of this library's.</summary>
    /// <param name="row">A row that fits; may be changed.</param>
    /// <exception cref="InputException">The row is wrong, or nothing here learns from the form; without its
    /// place.</exception>
    JsonObject Convert(JsonObject row);
}

/// <summary>Names of columns that well-known data sets have for what tasks on labels, tags and pairs read: GLUE's,
/// CoNLL's, those of sentence-transformers; and SQuAD's answers as a list. A row that has the tasks' own names is left
/// as it is.</summary>
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
        $"{(pair.Value == 1 ? "1 row has" : $"{pair.Value} rows have")} " +
            $"{string.Join(", ", Sets[pair.Key].Theirs)}, read as {string.Join(", ", Sets[pair.Key].Ours)}.")];

    /// <summary>Gives a row the tasks' names.</summary>
    public void Rename(JsonObject row)
    {
        if (row["answers"] is JsonArray answers) row["answers"] = Columnar(answers);
        int set = Array.FindIndex(
            Sets, known => known.Theirs.All(row.ContainsKey) && !known.Ours.Any(row.ContainsKey)
            && !row.ContainsKey("input_ids"));
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
        if (!answers.All(
            answer => answer is JsonObject found && found.ContainsKey("text") && found.ContainsKey("answer_start")))
            return answers.DeepClone();
        JsonArray Column(string key) => new([.. answers.Select(answer => answer![key]?.DeepClone())]);
        return new JsonObject { ["text"] = Column("text"), ["answer_start"] = Column("answer_start") };
    }
}
