using System.Text;

namespace LowRank.Data.Rows;

/// <summary>What parts the columns of a table in text, told by the options, by a first line <c>sep=;</c> as Excel reads
/// it, or by the first records: the character by which most of them have as many fields as the first.</summary>
internal sealed class DelimitedLayout
{
    private const int Looked = 1 << 16, Records = 50;
    private const string Candidates = ",;\t|";

    /// <summary>Looks at a table.</summary>
    /// <param name="content">At its beginning; owned by <see cref="Content"/>.</param>
    /// <param name="usual">What a file of its name has, and one whose records do not tell.</param>
    /// <param name="options">What the user says.</param>
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

    /// <summary>The table, after a line that says the separator.</summary>
    public Stream Content { get; }

    /// <summary>The number of its first line.</summary>
    public long FirstLine { get; } = 1;

    /// <summary>What parts the columns.</summary>
    public char Separator { get; }

    /// <summary>Whether neither the user nor the file's name says so.</summary>
    public bool IsUnexpected { get; }

    private static char Told(PeekedStream content, int begin, char usual)
    {
        byte[] beginning = content.Beginning[begin..].ToArray();
        return (usual + Candidates.Replace($"{usual}", "", StringComparison.Ordinal))
            .Select(candidate => (candidate, Agreeing: Agreeing(beginning, candidate, content.IsWhole)))
            .Where(known => known.Agreeing > 0).OrderByDescending(known => known.Agreeing)
            .Select(known => (char?)known.candidate).FirstOrDefault() ?? usual;
    }

    // Records with as many fields as the first; 0 where that has only one.
    private static int Agreeing(byte[] beginning, char separator, bool isWhole)
    {
        using var stream = new MemoryStream(beginning);
        List<DelimitedRecord> records = [.. DelimitedRecords.Read(stream, (byte)separator).Take(Records + 1)];
        if (records.Count > 1 && (!isWhole || records.Count > Records)) records.RemoveAt(records.Count - 1); // cut
        int columns = records.FirstOrDefault()?.Fields.Count ?? 0;
        return columns < 2 ? 0 : records.Count(record => record.Fields.Count == columns);
    }
}
