namespace LowRank.Data;

/// <summary>Reads a file line by line, in memory that does not grow with the file.</summary>
internal static class JsonLines
{
    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    private static ReadOnlySpan<byte> Blanks => " \t\r"u8;

    /// <summary>Maximum line length in bytes; a longer line cannot be a row and would fill the memory.</summary>
    internal const int LongestLine = 1 << 26;

    internal static string TooLong =>
        $"the line has more than {LongestLine >> 20} MB. Look for missing line ends, or split the row.";

    /// <summary>The lines of a file. Only LF and CRLF end a line, because other separators, such as U+2028, may occur
    /// in a JSON string. A byte order mark at the start and blank lines are skipped.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static IEnumerable<JsonLine> Read(string path)
    {
        using var stream =
            new FileStream(
                path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        foreach (JsonLine line in Read(stream)) yield return line;
    }

    /// <summary>The lines of a stream, as for a file.</summary>
    internal static IEnumerable<JsonLine> Read(Stream stream)
    {
        byte[] buffer = new byte[1 << 16];
        int begin = 0, scanned = 0, end = 0;
        long number = 0;
        bool atEnd = false, tooLong = false;
        while (true)
        {
            int newline = buffer.AsSpan(scanned, end - scanned).IndexOf((byte)'\n');
            if (newline < 0 && !atEnd)
            {
                if (end - begin > LongestLine) (tooLong, begin) = (true, end); // discards what was read of it
                scanned = end - begin;
                end = scanned;
                buffer = MakeRoom(buffer, begin, scanned);
                begin = 0;
                int read = stream.Read(buffer, end, buffer.Length - end);
                atEnd = read == 0;
                end += read;
                continue;
            }
            if (newline < 0 && begin == end && !tooLong) yield break;
            int lineEnd = newline < 0 ? end : scanned + newline;
            number++;
            ReadOnlyMemory<byte> line = Trim(buffer.AsMemory(begin, lineEnd - begin), first: number == 1);
            tooLong |= line.Length > LongestLine;
            if (tooLong) yield return new JsonLine(number, default) { IsTooLong = true };
            else if (!line.IsEmpty) yield return new JsonLine(number, line);
            tooLong = false;
            begin = scanned = newline < 0 ? end : lineEnd + 1;
        }
    }

    /// <summary>Moves the unfinished line to the front, into a buffer of twice the size if it fills this one.</summary>
    private static byte[] MakeRoom(byte[] buffer, int begin, int length)
    {
        byte[] target = length > buffer.Length / 2 ? new byte[checked(buffer.Length * 2)] : buffer;
        buffer.AsSpan(begin, length).CopyTo(target);
        return target;
    }

    private static ReadOnlyMemory<byte> Trim(ReadOnlyMemory<byte> line, bool first)
    {
        if (first && line.Span.StartsWith(ByteOrderMark)) line = line[ByteOrderMark.Length..];
        int begin = line.Span.IndexOfAnyExcept(Blanks);
        return begin < 0 ? default : line[begin..(line.Span.LastIndexOfAnyExcept(Blanks) + 1)];
    }
}

/// <summary>A line that is not blank.</summary>
/// <param name="Number">Counted from 1, blank lines included.</param>
/// <param name="Utf8">The bytes without the line end; valid until the next line is read.</param>
internal readonly record struct JsonLine(long Number, ReadOnlyMemory<byte> Utf8)
{
    /// <summary>Whether the line is longer than <see cref="JsonLines.LongestLine"/>; its bytes are then
    /// empty.</summary>
    public bool IsTooLong { get; init; }
}
