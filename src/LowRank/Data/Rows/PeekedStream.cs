namespace LowRank.Data.Rows;

/// <summary>A stream whose beginning has been looked at and is read again.</summary>
internal sealed class PeekedStream : Stream
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

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        if (at == length) return stream.Read(buffer);
        int taken = Math.Min(buffer.Length, length - at);
        beginning.AsSpan(at, taken).CopyTo(buffer);
        at += taken;
        return taken;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) stream.Dispose();
        base.Dispose(disposing);
    }
}
