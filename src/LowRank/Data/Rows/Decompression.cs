using System.Text;
using ICSharpCode.SharpZipLib;
using ICSharpCode.SharpZipLib.BZip2;

namespace LowRank.Data.Rows;

/// <summary>Opens compressed files, told by their first bytes: what a name says may be wrong.</summary>
internal static class Decompression
{
    private const int Looked = 8;

    private static ReadOnlySpan<byte> GZip => [0x1F, 0x8B];

    private static ReadOnlySpan<byte> BZip2 => "BZh"u8;

    private static ReadOnlySpan<byte> Zstandard => [0x28, 0xB5, 0x2F, 0xFD];

    private static ReadOnlySpan<byte> Xz => [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00];

    private static ReadOnlySpan<byte> Zip => [0x50, 0x4B, 0x03, 0x04];

    private static ReadOnlySpan<byte> Utf16 => [0xFF, 0xFE];

    private static ReadOnlySpan<byte> Utf16Reversed => [0xFE, 0xFF];

    private static ReadOnlySpan<byte> Parquet => "PAR1"u8;

    /// <summary>Whether reading failed for what the file holds, by each library's own word for it.</summary>
    public static bool IsDamage(Exception failure) =>
        AssemblyFailure.Name(failure) is null && failure is IOException or InvalidDataException
        or SharpZipBaseException or ZstdSharp.ZstdException or IndexOutOfRangeException or DecoderFallbackException;

    /// <summary>What to say of it.</summary>
    public static string Damaged(Exception failure) =>
        $"the file cannot be read to its end ({failure.Message.TrimEnd('.')}). Check that it is whole.";

    /// <summary>The content of a file, text in UTF-8 where it is a stream.</summary>
    /// <param name="file">At its beginning; owned by what is returned.</param>
    /// <param name="streamed">Whether it is read from its beginning to its end; otherwise it must not be
    /// compressed.</param>
    /// <exception cref="InputException">It is compressed otherwise, or no text.</exception>
    public static Stream Open(Stream file, bool streamed)
    {
        if (!streamed) return Whole(file);
        var content = new PeekedStream(file, Looked);
        if (Unpacked(content) is not { } unpacked) return Text(content);
        content = new PeekedStream(unpacked, Looked);
        if (IsCompressed(content.Beginning))
            throw new InputException("the file is compressed twice. Decompress it once.");
        return Text(content);
    }

    private static Stream Whole(Stream file)
    {
        if (!file.CanSeek)
            throw new InputException(
                "the data is Parquet, whose end is read first, and comes through a pipe. Write it to a file.");
        Span<byte> first = stackalloc byte[Looked];
        first = first[..file.ReadAtLeast(first, first.Length, throwOnEndOfStream: false)];
        file.Position = 0;
        if (IsCompressed(first))
            throw new InputException(
                "the file is compressed as a whole, and its format is not read so: Parquet compresses its columns " +
                "itself. Decompress it.");
        return file;
    }

    private static bool IsCompressed(ReadOnlySpan<byte> first) => first.StartsWith(GZip) || first.StartsWith(BZip2)
        || first.StartsWith(Zstandard);

    private static Stream? Unpacked(PeekedStream content)
    {
        if (content.Beginning.StartsWith(GZip)) return new GZipMembers(content);
        if (content.Beginning.StartsWith(BZip2)) return new BZip2Streams(content);
        return content.Beginning.StartsWith(Zstandard)
            ? new ZstdSharp.DecompressionStream(content, leaveOpen: false) : null;
    }

    private static Stream Text(PeekedStream content)
    {
        ReadOnlySpan<byte> first = content.Beginning;
        if (first.StartsWith(Xz))
            throw new InputException(
                "the file is compressed by xz, which is not read here. Decompress it (xz -d), or compress it by " +
                "gzip or zstd.");
        if (first.StartsWith(Zip))
            throw new InputException(
                "the file is a zip archive (or a spreadsheet), which is not read here. Unpack it, or save it as CSV.");
        if (first.StartsWith(Parquet))
            throw new InputException(
                "the file is Parquet, and its name does not say so. Let its name end in .parquet.");
        if (first.StartsWith(Utf16)) return InUtf8(content, bigEndian: false);
        if (first.StartsWith(Utf16Reversed)) return InUtf8(content, bigEndian: true);
        if (first.Contains((byte)0))
            throw new InputException(
                "the file holds zeros, which no text does (UTF-16 without its byte order mark?). Save it as text " +
                "in UTF-8.");
        return content;
    }

    private static Stream InUtf8(Stream content, bool bigEndian) =>
        Encoding.CreateTranscodingStream(
            content, new UnicodeEncoding(bigEndian, byteOrderMark: true, throwOnInvalidBytes: true), Encoding.UTF8);
}

/// <summary>bzip2 streams one after the other, as pbzip2 writes them: the library's own ends with the first, and takes
/// what is no stream for an empty one.</summary>
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
                if (!next.Beginning.StartsWith("BZh"u8) || next.IsWhole
                    || next.Beginning[3] is < (byte)'1' or > (byte)'9')
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
