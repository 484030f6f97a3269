using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>Tables in text (RFC 4180): the first record names the columns, every field is a text; fields in double quotes may hold
/// separators, line ends and doubled quotes. A field with nothing in it, not even quotes, is absent.</summary>
internal sealed class DelimitedFormat : IRowFormat
{
    private const string Tabs = ".tsv";
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public IReadOnlyList<string> Extensions { get; } = [".csv", Tabs];

    /// <summary>What parts columns, in words.</summary>
    public static string Name(char separator) => separator switch { '\t' => "tabs", ',' => "commas", ';' => "semicolons", '|' => "bars", ' ' => "blanks", _ => $"\"{separator}\"" };

    public IEnumerable<UnreadRow> Read(Stream content, string path, RowOptions options, DataProblems problems)
    {
        string bare = Path.GetExtension(path).ToLowerInvariant() is ".csv" or Tabs ? path : Path.GetFileNameWithoutExtension(path);
        var layout = new DelimitedLayout(content, bare.EndsWith(Tabs, StringComparison.OrdinalIgnoreCase) ? '\t' : ',', options.Csv);
        if (layout.IsUnexpected) problems.Remark($"{path}: the columns are parted by {Name(layout.Separator)}.");
        string?[]? columns = null;
        foreach (DelimitedRecord record in DelimitedRecords.Read(layout.Content, (byte)layout.Separator, layout.FirstLine))
        {
            var place = new DataPlace(path, record.Line);
            if (columns is null && options.Csv.Header)
            {
                (columns, string? problem) = Header(record, layout.Separator, options.Csv);
                if (problem is not null)
                {
                    problems.Add(new DataPlace(path, 0), problem);
                    yield break;
                }
                foreach (int unnamed in Enumerable.Range(0, columns.Length).Where(i => columns[i] is null)) problems.Remark($"{path}: column {unnamed + 1} has no name and is not read.");
                continue;
            }
            columns ??= [.. Enumerable.Range(0, record.Fields.Count).Select(i => i.ToString(CultureInfo.InvariantCulture))];
            yield return Row(record, place, columns);
        }
    }

    // Null for a column without a name, which is not read: what pandas writes for its index, or a separator at the end of each line.
    private static (string?[] Columns, string? Problem) Header(DelimitedRecord record, char separator, TableOptions options)
    {
        const string Advice = "Expected the names of the columns in the first line; where there are none, set data.csv to {header: false}.";
        if (record.Problem is { } broken) return ([], $"{broken} {Advice}");
        string[] names;
        try
        {
            names = [.. record.Fields.Select(field => Strict.GetString(field.Utf8.Span).Trim())];
        }
        catch (DecoderFallbackException)
        {
            return ([], NoUtf8("the first line is"));
        }
        int last = Array.FindLastIndex(names, name => name.Length > 0);
        int blank = last < 0 ? 0 : Array.FindIndex(names, 1, last, name => name.Length == 0);
        if (blank >= 0) return ([], $"column {blank + 1} has no name. {Advice}");
        if (names.Where(name => name.Length > 0).GroupBy(name => name).FirstOrDefault(group => group.Count() > 1) is { } twice) return ([], $"two columns are named \"{twice.Key}\". Rename one of them.");
        if (options.Separator is not null && names is [{ } only] && only.AsSpan().IndexOfAny(",;\t") >= 0)
            return ([], $"the first line, \"{only}\", is one column. Expected columns parted by {Name(separator)}, as data.csv.separator says; auto finds out.");
        return ([.. names.Select(name => name.Length == 0 ? null : name)], null);
    }

    private static UnreadRow Row(DelimitedRecord record, DataPlace place, string?[] columns)
    {
        if (record.Problem is { } broken) return new WrongRow(place, broken);
        if (record.Fields.Count != columns.Length)
            return new WrongRow(place, $"the row has {record.Fields.Count} fields, expected {columns.Length} ({string.Join(", ", columns.Select(name => name ?? "one without a name"))}). Put fields that hold separators or line ends into double quotes.");
        var row = new JsonObject();
        for (int i = 0; i < columns.Length; i++)
        {
            if (columns[i] is not { } name || record.Fields[i].IsAbsent) continue;
            try
            {
                row[name] = Strict.GetString(record.Fields[i].Utf8.Span);
            }
            catch (DecoderFallbackException failure)
            {
                return new WrongRow(place, NoUtf8($"byte {failure.Index + 1} of \"{name}\" is"));
            }
        }
        return new ReadRow(place, row);
    }

    private static string NoUtf8(string what) => $"{what} no UTF-8. Save the file as UTF-8 (in Excel: CSV UTF-8).";
}
