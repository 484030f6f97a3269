using ICSharpCode.SharpZipLib.BZip2;

namespace LowRank.Data.Rows;

/// <summary>bzip2 streams one after the other, as pbzip2 writes them: the library's own ends with the first.</summary>
/// <param name="file">Can be sought; belongs to this stream from now on.</param>
internal sealed class BZip2Streams(Stream file) : Stream
{
    private BZip2InputStream? part;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override int Read(byte[] buffer, int offset, int count)
    {
        if (count == 0) return 0;
        while (true)
        {
            if (part is null)
            {
                if (file.Position >= file.Length) return 0;
                part = new BZip2InputStream(file) { IsStreamOwner = false };
            }
            if (part.Read(buffer, offset, count) is > 0 and var read) return read;
            part.Dispose();
            part = null;
        }
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            part?.Dispose();
            file.Dispose();
        }
        base.Dispose(disposing);
    }
}
