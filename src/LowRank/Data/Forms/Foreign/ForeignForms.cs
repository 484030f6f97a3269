using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary>Recognises forms that other programs' data has, and counts them. Rows of different forms may stand in one file.</summary>
internal sealed class ForeignForms
{
    private static readonly IForeignForm[] All = [.. typeof(ForeignForms).Assembly.GetTypes()
        .Where(type => typeof(IForeignForm).IsAssignableFrom(type) && type is { IsAbstract: false, IsInterface: false })
        .Select(type => (IForeignForm)Activator.CreateInstance(type)!)
        .OrderBy(form => form.Name, StringComparer.Ordinal)];

    private static readonly string[] Ours = ["text", "prompt", "messages", "input_ids"];
    private readonly Dictionary<IForeignForm, long> counts = [];

    /// <summary>How many rows had which form, a sentence each.</summary>
    public IReadOnlyList<string> Notes =>
        [.. counts.OrderByDescending(pair => pair.Value).Select(pair => $"{(pair.Value == 1 ? "1 row has" : $"{pair.Value} rows have")} {pair.Key.Name}, read as {pair.Key.ReadAs}.")];

    /// <summary>A row in a form of this library's; the same where it has no foreign one. What one form makes may be another's:
    /// messages with tools as text, once the prompt beside them is gone.</summary>
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
