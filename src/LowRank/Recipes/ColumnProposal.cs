using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Tasks;

namespace LowRank.Recipes;

/// <summary>Proposes which columns of the data contain the fields of a task if they have other names, based on names
/// and lengths, for the user to check.</summary>
public static class ColumnProposal
{
    // In search order; a column is proposed only once.
    private static readonly Dictionary<string, string[]> Likely = new()
    {
        ["tokens"] = ["words"],
        ["tags"] = ["ner", "labels", "ner_tags", "pos_tags"],
        ["question"] = ["query", "q"],
        ["context"] = ["passage", "paragraph", "document", "text"],
        ["answers"] = ["answer"],
        ["positive"] = ["pair", "similar", "paraphrase", "match", "document", "answer"],
        ["label"] = ["labels", "sentiment", "class", "category", "target", "rating", "stars", "score", "topic",
            "intent", "type", "y"],
        ["completion"] = ["answer", "response", "output", "target", "reply", "summary", "translation", "a"],
        ["prompt"] = ["question", "instruction", "query", "input", "source", "request", "q"],
        ["text"] = ["sentence", "review", "content", "comment", "body", "message", "tweet", "description", "document",
            "input", "title"],
    };

    private static readonly Dictionary<string, string[]> Needed = new()
    {
        ["sequence_classification"] = ["label", "text"],
        ["token_classification"] = ["tokens", "tags"],
        ["question_answering"] = ["question", "context", "answers"],
        ["embedding"] = ["positive", "text"],
        ["masked_lm"] = ["text"],
        ["seq2seq"] = ["completion", "prompt"],
        [TaskRegistry.Default] = ["completion", "prompt"],
    };

    /// <summary>The columns of the first row; empty if it cannot be read.</summary>
    /// <param name="data">A file of rows.</param>
    /// <param name="task">The value of <c>task</c>.</param>
    public static IReadOnlyList<string> Columns(string data, string task) => First(data, task) is { } row
        ? [.. row.Fields.Select(field => field.Key)] : [];

    /// <summary>The task's fields that the rows lack; empty if the rows have one of the task's forms.</summary>
    /// <param name="data">A file of rows.</param>
    /// <param name="task">The value of <c>task</c>.</param>
    public static IReadOnlyList<string> Missing(string data, string task)
    {
        if (First(data, task) is not { } row || Fits(row, task)) return [];
        return [.. NeededBy(task).Where(field => !row.Fields.ContainsKey(field)).Reverse()];
    }

    /// <summary>The proposed column for each field that the rows lack, as far as names and lengths allow.</summary>
    /// <param name="data">A file of rows.</param>
    /// <param name="task">The value of <c>task</c>.</param>
    public static IReadOnlyDictionary<string, string> Create(string data, string task)
    {
        var proposed = new OrderedDictionary<string, string>();
        if (First(data, task) is not { } row || Fits(row, task)) return proposed;
        string[] missing = [.. NeededBy(task).Where(field => !row.Fields.ContainsKey(field))];
        List<string> free = [.. row.Fields.Select(field => field.Key).Except(NeededBy(task))];
        foreach (string field in missing)
        {
            if (Likely[field]
                .Select(name => free.Find(column => column.Equals(name, StringComparison.OrdinalIgnoreCase)))
                .FirstOrDefault(column => column is not null) is not { } likely)
                continue;
            proposed[field] = likely;
            free.Remove(likely);
        }
        // Labels are short and texts are long: if one field is left, it gets the longest remaining text column.
        string[] open = [.. missing.Where(field => !proposed.ContainsKey(field))];
        if (open is ["text" or "prompt" or "context"]
            && free.Where(column => Row.AsText(row.Fields[column]) is not null)
            .MaxBy(column => Row.AsText(row.Fields[column])!.Length) is { } longest)
            proposed[open[0]] = longest;
        return proposed;
    }

    // A task registered by a program has its own columns, which are unknown here.
    private static string[] NeededBy(string task) => Needed.GetValueOrDefault(task) ?? [];

    private static bool Fits(Row row, string task)
    {
        bool Has(params string[] keys) => keys.All(row.Fields.ContainsKey);
        return Has("input_ids") || task switch
        {
            "sequence_classification" => Has("text", "label") || Has("text", "labels"),
            "token_classification" => Has("tokens", "tags") || Has("text", "entities"),
            "question_answering" => Has("question", "context", "answers"),
            "embedding" => Has("text", "positive"),
            "masked_lm" => Has("text"),
            _ => Has("prompt", "completion") || Has("text") || Has("messages"),
        };
    }

    private static Row? First(string data, string task) =>
        RowSource.From([data]).Reading(foreign: task is TaskRegistry.Default or "seq2seq").Rows().FirstOrDefault();
}
