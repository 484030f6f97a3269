using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>Text tables (RFC 4180): the first record names the columns and every field is text; fields in double quotes
/// may contain separators, line ends and doubled quotes. An empty field without quotes is absent.</summary>
internal sealed class DelimitedFormat : IRowFormat
{
    private const string Tabs = ".tsv";
    private static readonly UTF8Encoding Strict =
        new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public IReadOnlyList<string> Extensions { get; } = [".csv", Tabs];

    /// <summary>The name of a separator.</summary>
    public static string Name(char separator) =>
        separator switch { '\t' => "tabs", ',' => "commas", ';' => "semicolons", '|' => "bars", ' ' => "blanks",
        _ => $"\"{separator}\"" };

    public IEnumerable<UnreadRow> Read(Stream content, string path, RowOptions options, DataProblems problems)
    {
        string bare = Path.GetExtension(path).ToLowerInvariant() is ".csv" or Tabs ? path
            : Path.GetFileNameWithoutExtension(path);
        var layout = new DelimitedLayout(content, bare.EndsWith(Tabs, StringComparison.OrdinalIgnoreCase) ? '\t'
            : ',', options.Csv);
        if (layout.IsUnexpected) problems.Remark($"{path}: the columns are separated by {Name(layout.Separator)}.");
        string?[]? columns = null;
        foreach (DelimitedRecord record in DelimitedRecords.Read(
            layout.Content, (byte)layout.Separator, layout.FirstLine))
        {
            var place = new DataPlace(path, record.Line);
            if (columns is null && options.Csv.Header)
            {
                (columns, Problem? problem) = Header(record, layout.Separator, options.Csv);
                if (problem is not null)
                {
                    problems.Add(new DataPlace(path, 0), problem);
                    yield break;
                }
                foreach (int unnamed in Enumerable.Range(0, columns.Length).Where(i => columns[i] is null))
                    problems.Remark($"{path}: column {unnamed + 1} has no name and is skipped.");
                continue;
            }
            columns ??= [.. Enumerable.Range(0, record.Fields.Count)
                .Select(i => i.ToString(CultureInfo.InvariantCulture))];
            yield return Row(record, place, columns);
        }
    }

    // Null for a column without a name, which is skipped: the index that pandas writes, or a separator at the end of
    // each line.
    private static (string?[] Columns, Problem? Problem) Header(
        DelimitedRecord record, char separator, TableOptions options)
    {
        Words advice = Words.Of(
            $"Expected the names of the columns in the first line; if there are none, read the " +
            $"table without a header{KnownSettings.TableHeader.To("false").Aside}.");
        if (record.Problem is { } broken) return ([], new Problem($"{broken} {advice}"));
        string[] names;
        try
        {
            names = [.. record.Fields.Select(field => Strict.GetString(field.Utf8.Span).Trim())];
        }
        catch (DecoderFallbackException)
        {
            return ([], new Problem(NoUtf8("the first line is")));
        }
        int last = Array.FindLastIndex(names, name => name.Length > 0);
        int blank = last < 0 ? 0 : Array.FindIndex(names, 1, last, name => name.Length == 0);
        if (blank >= 0) return ([], new Problem($"column {blank + 1} has no name. {advice}"));
        if (names.Where(name => name.Length > 0).GroupBy(name => name)
            .FirstOrDefault(group => group.Count() > 1) is { } twice)
            return ([], new Problem($"two columns are named \"{twice.Key}\". Rename one of them."));
        if (options.Separator is not null && names is [{ } only] && only.AsSpan().IndexOfAny(",;\t") >= 0)
            return ([], new Problem(
                $"the first line, \"{only}\", is one column. Expected columns separated by {Name(separator)}, as " +
                $"{KnownSettings.TableSeparator} says; auto detects the separator."));
        return ([.. names.Select(name => name.Length == 0 ? null : name)], null);
    }

    private static UnreadRow Row(DelimitedRecord record, DataPlace place, string?[] columns)
    {
        if (record.Problem is { } broken) return new WrongRow(place, broken);
        if (record.Fields.Count != columns.Length)
            return new WrongRow(
                place, $"the row has {record.Fields.Count} fields, expected {columns.Length} " +
                $"({string.Join(", ", columns.Select(name => name ?? "one without a name"))}). Put fields that " +
                "contain separators or line ends into double quotes.");
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

    private static string NoUtf8(string what) => $"{what} not valid UTF-8. Save the file as UTF-8 (in Excel: CSV " +
        "UTF-8).";
}

/// <summary>Splits a stream into records of separated values, in memory that does not grow with the stream.</summary>
/// <remarks>Every separator, quote and line end (LF, CRLF or CR) consists of ASCII bytes, which in UTF-8 are never part
/// of another character. As in Python's csv, quotes inside a field that does not begin with one are literal. Blanks
/// around a quoted field are not part of it.</remarks>
internal sealed class DelimitedRecords
{
    private const int LongestRecord = JsonLines.LongestLine;
    private const int MostFields = 1 << 16; // more cannot be a table, and would fill the memory
    private const byte Quote = (byte)'"', LineFeed = (byte)'\n', Return = (byte)'\r', Blank = (byte)' ';

    private readonly Stream stream;
    private readonly byte separator;
    private readonly byte[] buffer = new byte[1 << 16];
    private readonly List<(int End, bool IsQuoted)> ends = []; // of the fields in `bytes`
    private byte[] bytes = new byte[1 << 12];
    private int used, at, filled;
    private long line;

    private DelimitedRecords(Stream stream, byte separator, long line) =>
        (this.stream, this.separator, this.line) = (stream, separator, line);

    /// <summary>The records that are not blank.</summary>
    /// <param name="stream">The stream, at the beginning of a line.</param>
    /// <param name="separator">The field separator.</param>
    /// <param name="line">The number of that line.</param>
    public static IEnumerable<DelimitedRecord> Read(Stream stream, byte separator, long line = 1)
    {
        var records = new DelimitedRecords(stream, separator, line);
        foreach (byte mark in (byte[])[0xEF, 0xBB, 0xBF])
            if (records.Peek() == mark) records.at++;
            else break;
        while (records.Peek() >= 0)
            if (records.Next() is { } record) yield return record;
    }

    // Null for a blank line.
    private DelimitedRecord? Next()
    {
        (long begin, used) = (line, 0);
        ends.Clear();
        string? problem = null;
        while (true)
        {
            bool isQuoted = BeginsWithQuote();
            if (isQuoted) problem ??= Quoted(begin);
            int next = Plain();
            if (ends.Count < MostFields) ends.Add((used, isQuoted));
            else problem ??= $"the row has more than {MostFields} fields.";
            if (next >= 0) at++;
            if (next == separator) continue;
            if (next >= 0) EndLine(next);
            break;
        }
        if (used > LongestRecord)
            problem =
                $"the row has more than {LongestRecord >> 20} MB. Look for an unclosed double quote, or split the row.";
        if (ends.Count == 1 && used == 0 && problem is null) return null;
        return new DelimitedRecord(begin, problem is null ? Fields() : [], problem);
    }

    // Skips blanks before an opening quote; other blanks belong to the field.
    private bool BeginsWithQuote()
    {
        int begin = used;
        while (Peek() == Blank && Blank != separator)
        {
            at++;
            Append(Blank);
        }
        if (Peek() != Quote) return false;
        at++;
        used = begin;
        return true;
    }

    // Reads the text after an opening quote up to the closing one.
    private string? Quoted(long begin)
    {
        while (true)
        {
            int next = Peek();
            if (next < 0)
                return $"a double quote is not closed: the field that it opens on or after line {begin} extends to " +
                    "the end of the file.";
            at++;
            if (next == Quote)
            {
                if (Peek() != Quote) break;
                at++;
            }
            if (next == LineFeed || (next == Return && Peek() != LineFeed)) line++;
            Append((byte)next);
        }
        while (Peek() == Blank && Blank != separator) at++;
        int after = Peek();
        if (after == Return || after == LineFeed || after == separator || after < 0) return null;
        return "text follows the closing double quote of a field. Double the quotes inside the field.";
    }

    // Reads the text up to a separator or a line end.
    private int Plain()
    {
        while (true)
        {
            int next = Peek();
            if (next < 0 || next == separator || next is LineFeed or Return) return next;
            at++;
            Append((byte)next);
        }
    }

    private void EndLine(int end)
    {
        if (end == Return && Peek() == LineFeed) at++;
        line++;
    }

    private void Append(byte value)
    {
        if (used > LongestRecord) return; // stops counting, because the record is refused
        if (used == bytes.Length) Array.Resize(ref bytes, bytes.Length * 2);
        bytes[used++] = value;
    }

    private int Peek()
    {
        if (at == filled)
        {
            at = 0;
            filled = stream.Read(buffer);
        }
        return at < filled ? buffer[at] : -1;
    }

    private List<DelimitedField> Fields()
    {
        var fields = new List<DelimitedField>(ends.Count);
        int start = 0;
        foreach ((int end, bool isQuoted) in ends)
        {
            fields.Add(new DelimitedField(bytes.AsMemory(start, end - start), isQuoted));
            start = end;
        }
        return fields;
    }
}

/// <summary>A record of separated values.</summary>
/// <param name="Line">The line on which the record begins, counted from 1.</param>
/// <param name="Fields">The fields; valid until the next record.</param>
/// <param name="Problem">The problem; null for none.</param>
internal sealed record DelimitedRecord(long Line, IReadOnlyList<DelimitedField> Fields, string? Problem);

/// <summary>A field of a record.</summary>
/// <param name="Utf8">The text, without quotes.</param>
/// <param name="IsQuoted">Whether the field was quoted.</param>
internal readonly record struct DelimitedField(ReadOnlyMemory<byte> Utf8, bool IsQuoted)
{
    /// <summary>Whether the field is empty and unquoted.</summary>
    public bool IsAbsent => Utf8.IsEmpty && !IsQuoted;
}
