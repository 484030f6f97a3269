using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>Rows of SQuAD's own file, in which articles contain paragraphs and paragraphs contain questions: one row
/// per question, with the columns of the data set's other versions (arXiv 1606.05250, and 1806.03822 for questions
/// without an answer).</summary>
internal static class SquadRows
{
    /// <summary>Whether an element of the file's list is an article.</summary>
    public static bool IsArticle(ReadOnlySpan<byte> element) =>
        element.IndexOf("\"paragraphs\""u8) >= 0 && element.IndexOf("\"qas\""u8) >= 0;

    /// <summary>The questions of articles.</summary>
    public static IEnumerable<UnreadRow> Expand(IEnumerable<UnreadRow> articles, string path, DataProblems problems)
    {
        long number = 0;
        foreach (UnreadRow article in articles)
        {
            if (article.Read(problems) is not { } fields) continue;
            if (fields["paragraphs"] is not JsonArray paragraphs)
            {
                problems.Add(article.Place,
                    "the article has no list \"paragraphs\". Expected {\"paragraphs\": [{\"context\", \"qas\": " +
                    "[{\"question\", \"answers\"}, …]}, …]}.");
                continue;
            }
            foreach (JsonNode? paragraph in paragraphs)
                foreach (JsonNode? question in (paragraph as JsonObject)?["qas"] as JsonArray ?? [])
                    if (question is JsonObject asked)
                        yield return new ReadRow(
                            new DataPlace(path, ++number) { IsRow = true }, Row(fields, (JsonObject)paragraph!, asked));
        }
    }

    private static JsonObject Row(JsonObject article, JsonObject paragraph, JsonObject question)
    {
        var row = new JsonObject();
        if (article["title"] is { } title) row["title"] = title.DeepClone();
        row["context"] = paragraph["context"]?.DeepClone();
        foreach ((string key, JsonNode? value) in question)
            if (key is not ("answers" or "plausible_answers" or "is_impossible")) row[key] = value?.DeepClone();
        if (question["answers"] is { } answers) row["answers"] = answers.DeepClone();
        return row;
    }
}
