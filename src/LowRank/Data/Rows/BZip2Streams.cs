using ICSharpCode.SharpZipLib.BZip2;

namespace LowRank.Data.Rows;

/// <summary>bzip2 streams one after the other, as pbzip2 writes them: the library's own ends with the first, and takes what is no
/// stream for an empty one.</summary>
/// <param name="file">Belongs to this stream from now on.</param>
internal sealed class BZip2Streams(Stream file) : ForwardStream
{
    private const int HeaderLength = 4; // BZh and the size of its blocks, 1 to 9
    private readonly BufferedStream file = new(file, 1 << 16);
    private readonly byte[] output = new byte[1 << 14];
    private BZip2InputStream? part;

    public override int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty) return 0;
        while (true)
        {
            if (part is null)
            {
                var next = new PeekedStream(file, HeaderLength);
                if (next.Beginning.IsEmpty) return 0;
                if (!next.Beginning.StartsWith("BZh"u8) || next.IsWhole || next.Beginning[3] is < (byte)'1' or > (byte)'9')
                    throw new InvalidDataException("what follows a bzip2 stream is no other one");
                part = new BZip2InputStream(next) { IsStreamOwner = false };
            }
            int read = part.Read(output, 0, Math.Min(output.Length, buffer.Length));
            output.AsSpan(0, Math.Max(0, read)).CopyTo(buffer);
            if (read > 0) return read;
            part.Dispose();
            part = null;
        }
    }

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
