using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary>Recognises and counts the forms of other programs' data. A file may mix forms.</summary>
internal sealed class ForeignForms
{
    // Sorted by name, which is also the order in which they are tried.
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

    /// <summary>The number of rows of each form, one sentence each.</summary>
    public IReadOnlyList<Words> Notes =>
        [.. counts.OrderByDescending(pair => pair.Value)
            .Select(pair => Words.Of(
                $"{(pair.Value == 1 ? "1 row has" : $"{pair.Value} rows have")} {pair.Key.Name}, read as " +
                $"{pair.Key.ReadAs}."))];

    /// <summary>Converts a row to a form of this library; a row without a foreign form is returned unchanged. The
    /// result of one form may be input for another: messages with tools as text, after the prompt beside them is
    /// removed.</summary>
    /// <param name="row">The row; may be changed.</param>
    /// <param name="unanswered">Whether the learned fields may be missing.</param>
    /// <exception cref="InputException">The row is invalid; the message does not contain its place.</exception>
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

    // The row with "?" as its answer, if that gives it a form; otherwise null.
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

/// <summary>A form of other programs' data, listed in <see cref="ForeignForms"/>.</summary>
internal interface IForeignForm
{
    /// <summary>The name of the form in notes.</summary>
    string Name { get; }

    /// <summary>What the form is converted to, in notes.</summary>
    Words ReadAs { get; }

    /// <summary>The learned fields, which are missing in rows for prediction.</summary>
    IReadOnlyList<string> Answers => [];

    /// <summary>Whether a row has the form.</summary>
    bool Fits(JsonObject row);

    /// <summary>Converts the row to a form of this library.</summary>
    /// <param name="row">A row that fits; may be changed.</param>
    /// <exception cref="InputException">The row is invalid, or no task here learns from the form; the message does not
    /// contain its place.</exception>
    JsonObject Convert(JsonObject row);
}

/// <summary>Column names of well-known data sets for tasks on labels, tags and pairs: those of GLUE, CoNLL and
/// sentence-transformers, and SQuAD's answers as a list. A row that already has the tasks' own names is not
/// changed.</summary>
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

    /// <summary>The number of rows with each set of names, one sentence each.</summary>
    public IReadOnlyList<Words> Notes => [.. counts.OrderBy(pair => pair.Key).Select(pair => Words.Of(
        $"{(pair.Value == 1 ? "1 row has" : $"{pair.Value} rows have")} " +
        $"{string.Join(", ", Sets[pair.Key].Theirs)}, read as {string.Join(", ", Sets[pair.Key].Ours)}."))];

    /// <summary>Renames the columns of a row to the tasks' names.</summary>
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

    // [{"text", "answer_start"}, …] as in SQuAD's own file; the task refuses anything else.
    private static JsonNode Columnar(JsonArray answers)
    {
        if (!answers.All(
            answer => answer is JsonObject found && found.ContainsKey("text") && found.ContainsKey("answer_start")))
            return answers.DeepClone();
        JsonArray Column(string key) => new([.. answers.Select(answer => answer![key]?.DeepClone())]);
        return new JsonObject { ["text"] = Column("text"), ["answer_start"] = Column("answer_start") };
    }
}
