namespace LowRank.Data.Rows;

/// <summary>A stream whose beginning has been looked at and is read again.</summary>
internal sealed class PeekedStream : ForwardStream
{
    private readonly Stream stream;
    private readonly byte[] beginning;
    private readonly int length;
    private int at;

    /// <summary>Looks at the beginning of a stream.</summary>
    /// <param name="stream">The stream, owned from now on.</param>
    /// <param name="most">How many bytes to look at.</param>
    public PeekedStream(Stream stream, int most)
    {
        this.stream = stream;
        beginning = new byte[most];
        length = stream.ReadAtLeast(beginning, most, throwOnEndOfStream: false);
    }

    public ReadOnlySpan<byte> Beginning => beginning.AsSpan(0, length);

    /// <summary>Whether the beginning is all there is.</summary>
    public bool IsWhole => length < beginning.Length;

    /// <summary>Leaves bytes of the beginning out, before anything is read.</summary>
    public void Skip(int bytes) => at += bytes;

    public override int Read(Span<byte> buffer)
    {
        if (at == length) return stream.Read(buffer);
        int taken = Math.Min(buffer.Length, length - at);
        beginning.AsSpan(at, taken).CopyTo(buffer);
        at += taken;
        return taken;
    }

    public override int ReadByte() => at < length ? beginning[at++] : stream.ReadByte();

    protected override void Dispose(bool disposing)
    {
        if (disposing) stream.Dispose();
        base.Dispose(disposing);
    }
}
