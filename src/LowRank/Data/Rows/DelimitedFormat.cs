using System.Text;
using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>Comma- and tab-separated values (RFC 4180): the first record names the columns, every field is a text; fields in
/// double quotes may hold separators, line ends and doubled quotes.</summary>
internal sealed class DelimitedFormat : IRowFormat
{
    private const string Tabs = ".tsv";
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public IReadOnlyList<string> Extensions { get; } = [".csv", Tabs];

    public IEnumerable<UnreadRow> Read(Stream content, string path, PlainText text, DataProblems problems)
    {
        string bare = Path.GetExtension(path).ToLowerInvariant() is ".csv" or Tabs ? path : Path.GetFileNameWithoutExtension(path);
        bool tabs = bare.EndsWith(Tabs, StringComparison.OrdinalIgnoreCase);
        string[]? columns = null;
        foreach (DelimitedRecord record in DelimitedRecords.Read(content, (byte)(tabs ? '\t' : ',')))
        {
            var place = new DataPlace(path, record.Line);
            if (columns is not null)
            {
                yield return Row(record, place, columns);
                continue;
            }
            (columns, string? problem) = Header(record, tabs);
            if (problem is null) continue;
            problems.Add(new DataPlace(path, 0), problem);
            yield break;
        }
    }

    private static (string[] Columns, string? Problem) Header(DelimitedRecord record, bool tabs)
    {
        const string Advice = "Expected the names of the columns in the first line.";
        if (record.Problem is { } broken) return ([], $"{broken} {Advice}");
        string[] names;
        try
        {
            names = [.. record.Fields.Select(field => Strict.GetString(field.Span).Trim())];
        }
        catch (DecoderFallbackException)
        {
            return ([], "the first line is no UTF-8. Save the file as UTF-8.");
        }
        int blank = Array.FindIndex(names, name => name.Length == 0);
        if (blank >= 0) return ([], $"column {blank + 1} has no name. {Advice}");
        if (names.GroupBy(name => name).FirstOrDefault(group => group.Count() > 1) is { } twice) return ([], $"two columns are named \"{twice.Key}\". Rename one of them.");
        if (names is [{ } only] && only.AsSpan().IndexOfAny(tabs ? ",;" : ";\t") >= 0)
            return ([], $"the first line, \"{only}\", is one column. Expected columns parted by {(tabs ? "tabs, for the file ends in .tsv" : "commas; save it so, or with tabs as .tsv")}.");
        return (names, null);
    }

    private static UnreadRow Row(DelimitedRecord record, DataPlace place, string[] columns)
    {
        if (record.Problem is { } broken) return new WrongRow(place, broken);
        if (record.Fields.Count != columns.Length)
            return new WrongRow(place, $"the row has {record.Fields.Count} fields, expected {columns.Length} ({string.Join(", ", columns)}). Put fields that hold separators or line ends into double quotes.");
        var row = new JsonObject();
        for (int i = 0; i < columns.Length; i++)
        {
            try
            {
                row[columns[i]] = Strict.GetString(record.Fields[i].Span);
            }
            catch (DecoderFallbackException failure)
            {
                return new WrongRow(place, $"byte {failure.Index + 1} of \"{columns[i]}\" is no UTF-8. Save the file as UTF-8.");
            }
        }
        return new ReadRow(place, row);
    }
}
