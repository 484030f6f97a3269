using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary>Recognises forms that other programs' data has, and counts them. Rows of different forms may stand in one file.</summary>
internal sealed class ForeignForms
{
    private static readonly IForeignForm[] All = [.. typeof(ForeignForms).Assembly.GetTypes()
        .Where(type => typeof(IForeignForm).IsAssignableFrom(type) && type is { IsAbstract: false, IsInterface: false })
        .Select(type => (IForeignForm)Activator.CreateInstance(type)!)
        .OrderBy(form => form.Name, StringComparer.Ordinal)];

    private readonly Dictionary<IForeignForm, long> counts = [];

    /// <summary>How many rows had which form, a sentence each.</summary>
    public IReadOnlyList<string> Notes =>
        [.. counts.OrderByDescending(pair => pair.Value).Select(pair => $"{(pair.Value == 1 ? "1 row has" : $"{pair.Value} rows have")} {pair.Key.Name}, read as {pair.Key.ReadAs}.")];

    /// <summary>A row in a form of this library's; the same where it has no foreign one. What one form makes may be another's:
    /// messages with tools as text, once the prompt beside them is gone.</summary>
    /// <exception cref="InputException">It is wrong, without its place.</exception>
    public JsonObject Convert(JsonObject row)
    {
        foreach (IForeignForm form in All)
        {
            if (!form.Fits(row)) continue;
            row = form.Convert(row);
            counts[form] = counts.GetValueOrDefault(form) + 1;
        }
        return row;
    }
}
