using System.Text;
using ICSharpCode.SharpZipLib;

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
    public static bool IsDamage(Exception failure) => AssemblyFailure.Name(failure) is null && failure is IOException or InvalidDataException
        or SharpZipBaseException or ZstdSharp.ZstdException or IndexOutOfRangeException or DecoderFallbackException;

    /// <summary>What to say of it.</summary>
    public static string Damaged(Exception failure) => $"the file cannot be read to its end ({failure.Message.TrimEnd('.')}). Check that it is whole.";

    /// <summary>The content of a file, text in UTF-8 where it is a stream.</summary>
    /// <param name="file">At its beginning; owned by what is returned.</param>
    /// <param name="streamed">Whether it is read from its beginning to its end; otherwise it must not be compressed.</param>
    /// <exception cref="InputException">It is compressed otherwise, or no text.</exception>
    public static Stream Open(Stream file, bool streamed)
    {
        if (!streamed) return Whole(file);
        var content = new PeekedStream(file, Looked);
        if (Unpacked(content) is not { } unpacked) return Text(content);
        content = new PeekedStream(unpacked, Looked);
        if (IsCompressed(content.Beginning)) throw new InputException("the file is compressed twice. Decompress it once.");
        return Text(content);
    }

    private static Stream Whole(Stream file)
    {
        if (!file.CanSeek) throw new InputException("the data is Parquet, whose end is read first, and comes through a pipe. Write it to a file.");
        Span<byte> first = stackalloc byte[Looked];
        first = first[..file.ReadAtLeast(first, first.Length, throwOnEndOfStream: false)];
        file.Position = 0;
        if (IsCompressed(first)) throw new InputException("the file is compressed as a whole, and its format is not read so: Parquet compresses its columns itself. Decompress it.");
        return file;
    }

    private static bool IsCompressed(ReadOnlySpan<byte> first) => first.StartsWith(GZip) || first.StartsWith(BZip2) || first.StartsWith(Zstandard);

    private static Stream? Unpacked(PeekedStream content)
    {
        if (content.Beginning.StartsWith(GZip)) return new GZipMembers(content);
        if (content.Beginning.StartsWith(BZip2)) return new BZip2Streams(content);
        return content.Beginning.StartsWith(Zstandard) ? new ZstdSharp.DecompressionStream(content, leaveOpen: false) : null;
    }

    private static Stream Text(PeekedStream content)
    {
        ReadOnlySpan<byte> first = content.Beginning;
        if (first.StartsWith(Xz)) throw new InputException("the file is compressed by xz, which is not read here. Decompress it (xz -d), or compress it by gzip or zstd.");
        if (first.StartsWith(Zip)) throw new InputException("the file is a zip archive (or a spreadsheet), which is not read here. Unpack it, or save it as CSV.");
        if (first.StartsWith(Parquet)) throw new InputException("the file is Parquet, and its name does not say so. Let its name end in .parquet.");
        if (first.StartsWith(Utf16)) return InUtf8(content, bigEndian: false);
        if (first.StartsWith(Utf16Reversed)) return InUtf8(content, bigEndian: true);
        if (first.Contains((byte)0)) throw new InputException("the file holds zeros, which no text does (UTF-16 without its byte order mark?). Save it as text in UTF-8.");
        return content;
    }

    private static Stream InUtf8(Stream content, bool bigEndian) =>
        Encoding.CreateTranscodingStream(content, new UnicodeEncoding(bigEndian, byteOrderMark: true, throwOnInvalidBytes: true), Encoding.UTF8);
}
