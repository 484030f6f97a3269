namespace LowRank.Recipes.Runs;

/// <summary>Reads a file's lines as bytes, one at a time, also while another process appends to it.</summary>
/// <param name="stream">Read from where it stands; it stays open.</param>
/// <param name="longest">Bytes of the longest line that is handed out whole.</param>
internal sealed class ByteLines(Stream stream, int longest)
{
    private byte[] buffer = new byte[64 * 1024];
    private int start, end;

    /// <summary>Whether the line was ended by a line feed: the last one of a file that is being written, or of a run
    /// that was killed, may not be.</summary>
    public bool IsWhole { get; private set; }

    /// <summary>Whether the line was longer than allowed; then it is handed out empty.</summary>
    public bool IsTooLong { get; private set; }

    /// <summary>The next line without its end; false after the last. It is valid until the next call.</summary>
    public bool TryRead(out ReadOnlySpan<byte> line)
    {
        IsTooLong = false;
        int searched = start;
        while (true)
        {
            int at = buffer.AsSpan(searched, end - searched).IndexOf((byte)'\n');
            if (at >= 0)
            {
                line = Take(searched + at);
                start++; // the line feed
                IsWhole = true;
                return true;
            }
            if (end - start > longest)
            {
                IsTooLong = true;
                start = end;
            }
            searched = MakeRoom();
            int read = stream.Read(buffer, end, buffer.Length - end);
            end += read;
            if (read > 0) continue;
            line = Take(end);
            IsWhole = false;
            return line.Length > 0 || IsTooLong;
        }
    }

    private ReadOnlySpan<byte> Take(int to)
    {
        IsTooLong |= to - start > longest; // its end may come with the bytes that made it too long
        ReadOnlySpan<byte> line = IsTooLong ? default : buffer.AsSpan(start, to - start);
        start = to;
        return line.Length > 0 && line[^1] == '\r' ? line[..^1] : line;
    }

    // Moves what is not handed out yet to the front, in a larger buffer where it fills this one. Returns where the new
    // bytes begin.
    private int MakeRoom()
    {
        int left = end - start;
        byte[] target = left == buffer.Length ? new byte[2 * buffer.Length] : buffer;
        buffer.AsSpan(start, left).CopyTo(target);
        (buffer, start, end) = (target, 0, left);
        return left;
    }
}
