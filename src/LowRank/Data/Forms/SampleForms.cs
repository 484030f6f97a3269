using System.Text.Json.Nodes;

namespace LowRank.Data.Forms;

/// <summary>Finds the form of a row by its keys. Rows of different forms may stand in one file.</summary>
/// <param name="forms">The forms there are.</param>
/// <param name="note">Stands after the list of forms in messages; may be empty.</param>
internal sealed class SampleForms(IReadOnlyList<ISampleForm> forms, string note)
{
    /// <summary>The form of a row.</summary>
    /// <exception cref="InputException">The row has none, a part of one, or keys of two.</exception>
    public ISampleForm Of(JsonObject row)
    {
        ISampleForm? form = forms.FirstOrDefault(candidate => candidate.Keys.All(row.ContainsKey));
        if (form is null) throw Formless(row);
        List<string> foreign =
        [
            .. forms.Where(other => other != form).SelectMany(other => other.Keys.Concat(other.OptionalKeys)).Where(row.ContainsKey).Select(Quote),
        ];
        if (foreign.Count > 0)
            throw new InputException($"the row has the form {form.Shape} and also {string.Join(", ", foreign)} of another. " +
                $"Expected one of the forms {Shapes()}: remove or rename what does not belong to it.");
        return form;
    }

    private InputException Formless(JsonObject row)
    {
        // Of a form that is there in part, the rest is missing.
        ISampleForm? begun = forms.Where(candidate => candidate.Keys.Any(row.ContainsKey)).MaxBy(candidate => candidate.Keys.Count(row.ContainsKey));
        return begun is null
            ? new InputException($"the row has no text to learn from; columns found: {Sample.Columns(row)}. Expected one of the forms {Shapes()}; data.columns maps other names, such as {{prompt: …, completion: …}}.")
            : new InputException(Sample.Lacks(row, begun.Keys.First(key => !row.ContainsKey(key))) + $" Expected one of the forms {Shapes()}.");
    }

    private string Shapes() => string.Join(" | ", forms.Select(form => form.Shape)) + note;

    private static string Quote(string key) => $"\"{key}\"";
}
