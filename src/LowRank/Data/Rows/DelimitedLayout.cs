using System.Text;

namespace LowRank.Data.Rows;

/// <summary>The column separator of a text table: from the options, from a first line <c>sep=;</c> as in Excel, or from
/// the first records. It is then the character by which most records have as many fields as the first.</summary>
internal sealed class DelimitedLayout
{
    private const int Looked = 1 << 16, Records = 50;
    private const string Candidates = ",;\t|";

    /// <summary>Inspects a table.</summary>
    /// <param name="content">The content at its beginning; <see cref="Content"/> takes ownership.</param>
    /// <param name="usual">The usual separator for the file's name, also used if the records do not decide.</param>
    /// <param name="options">The user's options.</param>
    public DelimitedLayout(Stream content, char usual, TableOptions options)
    {
        var peeked = new PeekedStream(content, Looked);
        Content = peeked;
        ReadOnlySpan<byte> beginning = peeked.Beginning;
        int mark = beginning.StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length : 0;
        char? said = null;
        if (beginning[mark..].StartsWith("sep="u8) && beginning[mark..].IndexOfAny("\r\n"u8) == 5)
        {
            said = (char)beginning[mark + 4];
            int end = mark + 5;
            end += beginning[end..].StartsWith("\r\n"u8) ? 2 : 1;
            peeked.Skip(end);
            FirstLine = 2;
        }
        Separator = options.Separator ?? (said < 128 ? said : null) ?? Told(peeked, mark, usual);
        IsUnexpected = options.Separator is null && Separator != usual;
    }

    /// <summary>The table, after a line that names the separator.</summary>
    public Stream Content { get; }

    /// <summary>The number of the table's first line.</summary>
    public long FirstLine { get; } = 1;

    /// <summary>The column separator.</summary>
    public char Separator { get; }

    /// <summary>Whether the separator comes neither from the user nor from the file's name.</summary>
    public bool IsUnexpected { get; }

    private static char Told(PeekedStream content, int begin, char usual)
    {
        byte[] beginning = content.Beginning[begin..].ToArray();
        return (usual + Candidates.Replace($"{usual}", "", StringComparison.Ordinal))
            .Select(candidate => (candidate, Agreeing: Agreeing(beginning, candidate, content.IsWhole)))
            .Where(known => known.Agreeing > 0).OrderByDescending(known => known.Agreeing)
            .Select(known => (char?)known.candidate).FirstOrDefault() ?? usual;
    }

    // The number of records with as many fields as the first; 0 if the first has only one field.
    private static int Agreeing(byte[] beginning, char separator, bool isWhole)
    {
        using var stream = new MemoryStream(beginning);
        List<DelimitedRecord> records = [.. DelimitedRecords.Read(stream, (byte)separator).Take(Records + 1)];
        if (records.Count > 1 && (!isWhole || records.Count > Records)) records.RemoveAt(records.Count - 1); // cut
        int columns = records.FirstOrDefault()?.Fields.Count ?? 0;
        return columns < 2 ? 0 : records.Count(record => record.Fields.Count == columns);
    }
}
