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
        if (form is null) throw new InputException($"the row has the keys {Names(row)}. Expected one of the forms {Shapes()}.");
        List<string> foreign =
        [
            .. forms.Where(other => other != form).SelectMany(other => other.Keys.Concat(other.OptionalKeys)).Where(row.ContainsKey).Select(Quote),
        ];
        if (foreign.Count > 0)
            throw new InputException($"the row has the form {form.Shape} and also {string.Join(", ", foreign)} of another. " +
                $"Expected one of the forms {Shapes()}: remove or rename what does not belong to it.");
        return form;
    }

    private string Shapes() => string.Join(" | ", forms.Select(form => form.Shape)) + note;

    private static string Names(JsonObject row) =>
        row.Count == 0 ? "(none)" : string.Join(", ", row.Select(field => Quote(field.Key)));

    private static string Quote(string key) => $"\"{key}\"";
}
