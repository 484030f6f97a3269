namespace LowRank.Data;

/// <summary>Reads a file line by line in memory that does not grow with it.</summary>
public static class JsonLines
{
    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    private static ReadOnlySpan<byte> Blanks => " \t\r"u8;

    /// <summary>The lines of a file. They end with LF or CRLF only: other separators, such as U+2028, may stand inside a
    /// JSON string. A byte order mark at the start and blank lines are left out.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static IEnumerable<JsonLine> Read(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        byte[] buffer = new byte[1 << 16];
        int begin = 0, scanned = 0, end = 0;
        long number = 0;
        bool atEnd = false;
        while (true)
        {
            int newline = buffer.AsSpan(scanned, end - scanned).IndexOf((byte)'\n');
            if (newline < 0 && !atEnd)
            {
                scanned = end - begin;
                end = scanned;
                buffer = MakeRoom(buffer, begin, scanned);
                begin = 0;
                int read = stream.Read(buffer, end, buffer.Length - end);
                atEnd = read == 0;
                end += read;
                continue;
            }
            if (newline < 0 && begin == end) yield break;
            int lineEnd = newline < 0 ? end : scanned + newline;
            number++;
            ReadOnlyMemory<byte> line = Trim(buffer.AsMemory(begin, lineEnd - begin), first: number == 1);
            if (!line.IsEmpty) yield return new JsonLine(number, line);
            begin = scanned = newline < 0 ? end : lineEnd + 1;
        }
    }

    /// <summary>Moves the unfinished line to the front, into a buffer twice as large where it fills this one.</summary>
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
