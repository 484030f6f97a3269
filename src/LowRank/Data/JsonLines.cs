namespace LowRank.Data;

/// <summary>Reads a file line by line in memory that does not grow with it.</summary>
public static class JsonLines
{
    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    private static ReadOnlySpan<byte> Blanks => " \t\r"u8;

    /// <summary>Longest line in bytes: a longer one is no row, and would fill the memory.</summary>
    internal const int LongestLine = 1 << 26;

    internal static string TooLong =>
        $"the line has more than {LongestLine >> 20} MB. Look for line ends that are missing, or split the row.";

    /// <summary>The lines of a file. They end with LF or CRLF only: other separators, such as U+2028, may stand inside
    /// a JSON string. A byte order mark at the start and blank lines are left out.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static IEnumerable<JsonLine> Read(string path)
    {
        using var stream =
            new FileStream(
                path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        foreach (JsonLine line in Read(stream)) yield return line;
    }

    /// <summary>The lines of a stream, as those of a file.</summary>
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
                if (end - begin > LongestLine) (tooLong, begin) = (true, end); // what was read of it is let go
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

/// <summary>A line that is not blank.</summary>
/// <param name="Number">Counted from 1, blank lines included.</param>
/// <param name="Utf8">Its bytes without line end; valid until the next line is asked for.</param>
public readonly record struct JsonLine(long Number, ReadOnlyMemory<byte> Utf8)
{
    /// <summary>Whether it is longer than <see cref="JsonLines.LongestLine"/>; its bytes are empty then.</summary>
    public bool IsTooLong { get; init; }
}
