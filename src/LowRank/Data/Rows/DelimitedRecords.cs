namespace LowRank.Data.Rows;

/// <summary>Splits a stream into records of separated values, in memory that does not grow with it.</summary>
/// <remarks>Every separator, quote and line end is one byte of ASCII, which in UTF-8 is no part of another character.</remarks>
internal sealed class DelimitedRecords
{
    private const int LongestRecord = JsonLines.LongestLine;
    private const int MostFields = 1 << 16; // more is no table, and would fill the memory
    private const byte Quote = (byte)'"', LineFeed = (byte)'\n', Return = (byte)'\r';

    private readonly Stream stream;
    private readonly byte separator;
    private readonly byte[] buffer = new byte[1 << 16];
    private readonly List<int> ends = []; // of the fields, in `bytes`
    private byte[] bytes = new byte[1 << 12];
    private int used, at, filled;
    private long line = 1;

    private DelimitedRecords(Stream stream, byte separator)
    {
        this.stream = stream;
        this.separator = separator;
    }

    public static IEnumerable<DelimitedRecord> Read(Stream stream, byte separator)
    {
        var records = new DelimitedRecords(stream, separator);
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
            if (Peek() == Quote)
            {
                at++;
                problem ??= Quoted(begin);
            }
            int next;
            while ((next = Plain()) == Quote)
            {
                problem ??= "a double quote stands inside a field that does not begin with one. Put the field into double quotes and double those inside.";
                at++;
                Append(Quote);
            }
            if (ends.Count < MostFields) ends.Add(used);
            else problem ??= $"the row has more than {MostFields} fields.";
            if (next >= 0) at++;
            if (next == separator) continue;
            if (next == LineFeed) line++;
            break;
        }
        if (used > LongestRecord) problem = $"the row has more than {LongestRecord >> 20} MB. Look for a double quote that is not closed, or split it.";
        if (ends.Count == 1 && used == 0 && problem is null) return null;
        return new DelimitedRecord(begin, problem is null ? Fields() : [], problem);
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
            if (next == LineFeed) line++;
            Append((byte)next);
        }
        int after = Peek();
        if (after == Return || after == LineFeed || after == separator || after < 0) return null;
        return "text follows the closing double quote of a field. Double the quotes inside the field.";
    }

    // What stands up to a separator, a line end or a quote; a carriage return before a line feed belongs to the line end.
    private int Plain()
    {
        while (true)
        {
            int next = Peek();
            if (next < 0 || next == separator || next == LineFeed || next == Quote) return next;
            at++;
            if (next == Return && Peek() is LineFeed or < 0) continue;
            Append((byte)next);
        }
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

    private List<ReadOnlyMemory<byte>> Fields()
    {
        var fields = new List<ReadOnlyMemory<byte>>(ends.Count);
        int start = 0;
        foreach (int end in ends)
        {
            fields.Add(bytes.AsMemory(start, end - start));
            start = end;
        }
        return fields;
    }
}
