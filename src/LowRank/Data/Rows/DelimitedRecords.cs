namespace LowRank.Data.Rows;

/// <summary>Splits a stream into records of separated values, in memory that does not grow with it.</summary>
/// <remarks>Every separator, quote and line end (LF, CRLF or CR) is one byte of ASCII, which in UTF-8 is no part of another character. As Python's
/// csv: quotes inside a field that does not begin with one stand for themselves. Blanks around a quoted field are no part of it.</remarks>
internal sealed class DelimitedRecords
{
    private const int LongestRecord = JsonLines.LongestLine;
    private const int MostFields = 1 << 16; // more is no table, and would fill the memory
    private const byte Quote = (byte)'"', LineFeed = (byte)'\n', Return = (byte)'\r', Blank = (byte)' ';

    private readonly Stream stream;
    private readonly byte separator;
    private readonly byte[] buffer = new byte[1 << 16];
    private readonly List<(int End, bool IsQuoted)> ends = []; // of the fields, in `bytes`
    private byte[] bytes = new byte[1 << 12];
    private int used, at, filled;
    private long line;

    private DelimitedRecords(Stream stream, byte separator, long line) => (this.stream, this.separator, this.line) = (stream, separator, line);

    /// <summary>The records that are not blank.</summary>
    /// <param name="stream">At the beginning of a line.</param>
    /// <param name="separator">What parts the fields.</param>
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
        if (used > LongestRecord) problem = $"the row has more than {LongestRecord >> 20} MB. Look for a double quote that is not closed, or split it.";
        if (ends.Count == 1 && used == 0 && problem is null) return null;
        return new DelimitedRecord(begin, problem is null ? Fields() : [], problem);
    }

    // The quote is taken, and blanks before it left out; blanks before anything else belong to the field.
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

    // What stands after an opening quote, up to the closing one.
    private string? Quoted(long begin)
    {
        while (true)
        {
            int next = Peek();
            if (next < 0) return $"a double quote is not closed: the field that it begins on or after line {begin} goes on to the end of the file.";
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

    // What stands up to a separator or a line end.
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
        if (used > LongestRecord) return; // counted no further: the record is refused
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
