namespace LowRank.Hub;

/// <summary>A stretch of a file as a stream of its own, which ends where the stretch ends. Owns the file's stream.</summary>
internal sealed class FilePart : Stream
{
    private readonly FileStream file;
    private readonly long length;
    private long done;

    public FilePart(FileStream file, long from, long length)
    {
        (this.file, this.length) = (file, length);
        file.Position = from;
    }

    /// <summary>Called whenever bytes are taken out to be sent.</summary>
    public Action? Taken { get; set; }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => length;

    public override long Position
    {
        get => done;
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        int read = file.Read(buffer[..(int)Math.Min(buffer.Length, length - done)]);
        done += read;
        Taken?.Invoke();
        return read;
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int read = await file.ReadAsync(buffer[..(int)Math.Min(buffer.Length, length - done)], cancellationToken).ConfigureAwait(false);
        done += read;
        Taken?.Invoke();
        return read;
    }

    public override void Flush()
    {
        // Nothing is written.
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) file.Dispose();
        base.Dispose(disposing);
    }
}
