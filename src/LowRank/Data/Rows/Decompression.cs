using System.Text;
using ICSharpCode.SharpZipLib;
using ICSharpCode.SharpZipLib.BZip2;

namespace LowRank.Data.Rows;

/// <summary>Opens compressed files, recognised by their first bytes because names may be wrong.</summary>
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

    /// <summary>Whether reading failed because of the file's content, by the exception types of each library.</summary>
    public static bool IsDamage(Exception failure) =>
        AssemblyFailure.Name(failure) is null && failure is IOException or InvalidDataException
        or SharpZipBaseException or ZstdSharp.ZstdException or IndexOutOfRangeException or DecoderFallbackException;

    /// <summary>The message for it.</summary>
    public static string Damaged(Exception failure) =>
        $"the file cannot be read to its end ({failure.Message.TrimEnd('.')}). Check that it is complete.";

    /// <summary>The content of a file; streamed text is converted to UTF-8.</summary>
    /// <param name="file">The file at its beginning; the result owns it.</param>
    /// <param name="streamed">Whether the file is read as a stream; otherwise it must not be compressed.</param>
    /// <exception cref="InputException">The file uses another compression, or is not text.</exception>
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
                "the data is Parquet, which is read from its end, and cannot come through a pipe. Write it to a file.");
        Span<byte> first = stackalloc byte[Looked];
        first = first[..file.ReadAtLeast(first, first.Length, throwOnEndOfStream: false)];
        file.Position = 0;
        if (IsCompressed(first))
            throw new InputException(
                "the file is compressed, but its format does not support that: Parquet compresses its own columns. " +
                "Decompress it.");
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
                "the file is compressed with xz, which is not supported. Decompress it (xz -d), or compress it with " +
                "gzip or zstd.");
        if (first.StartsWith(Zip))
            throw new InputException(
                "the file is a zip archive (or a spreadsheet), which is not supported. Unpack it, or save it as CSV.");
        if (first.StartsWith(Parquet))
            throw new InputException(
                "the file is Parquet, but its name does not end in .parquet. Rename it.");
        if (first.StartsWith(Utf16)) return InUtf8(content, bigEndian: false);
        if (first.StartsWith(Utf16Reversed)) return InUtf8(content, bigEndian: true);
        if (first.Contains((byte)0))
            throw new InputException(
                "the file contains zero bytes, so it is not text (UTF-16 without a byte order mark?). Save it as " +
                "UTF-8 text.");
        return content;
    }

    private static Stream InUtf8(Stream content, bool bigEndian) =>
        Encoding.CreateTranscodingStream(
            content, new UnicodeEncoding(bigEndian, byteOrderMark: true, throwOnInvalidBytes: true), Encoding.UTF8);
}

/// <summary>Concatenated bzip2 streams, as pbzip2 writes them. The library's own reader ends with the first one and
/// treats other data as an empty stream.</summary>
/// <param name="file">The file; this stream takes ownership.</param>
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
                    throw new InvalidDataException("the data after a bzip2 stream is not another stream");
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

/// <summary>A stream whose beginning was inspected and will be read again.</summary>
internal sealed class PeekedStream : ForwardStream
{
    private readonly Stream stream;
    private readonly byte[] beginning;
    private readonly int length;
    private int at;

    /// <summary>Inspects the beginning of a stream.</summary>
    /// <param name="stream">The stream; this object takes ownership.</param>
    /// <param name="most">The number of bytes to inspect.</param>
    public PeekedStream(Stream stream, int most)
    {
        this.stream = stream;
        beginning = new byte[most];
        length = stream.ReadAtLeast(beginning, most, throwOnEndOfStream: false);
    }

    public ReadOnlySpan<byte> Beginning => beginning.AsSpan(0, length);

    /// <summary>Whether the beginning is the whole stream.</summary>
    public bool IsWhole => length < beginning.Length;

    /// <summary>Skips bytes of the beginning, before anything is read.</summary>
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
