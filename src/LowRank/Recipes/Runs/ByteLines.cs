namespace LowRank.Recipes.Runs;

/// <summary>Reads a file's lines as bytes, one at a time, even while another process appends to it.</summary>
/// <param name="stream">Read from its current position; stays open.</param>
/// <param name="longest">Maximum length in bytes of a line that is returned.</param>
internal sealed class ByteLines(Stream stream, int longest)
{
    private byte[] buffer = new byte[64 * 1024];
    private int start, end;

    /// <summary>Whether the line ended with a line feed. The last line of a file that is being written, or of a killed
    /// run, may not.</summary>
    public bool IsWhole { get; private set; }

    /// <summary>Whether the line was too long; it is then returned empty.</summary>
    public bool IsTooLong { get; private set; }

    /// <summary>The next line without its line ending; false after the last. It is valid until the next call.</summary>
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

    // Moves unreturned bytes to the front, into a larger buffer if they fill this one. Returns the position of the new
    // bytes.
    private int MakeRoom()
    {
        int left = end - start;
        byte[] target = left == buffer.Length ? new byte[2 * buffer.Length] : buffer;
        buffer.AsSpan(start, left).CopyTo(target);
        (buffer, start, end) = (target, 0, left);
        return left;
    }
}
