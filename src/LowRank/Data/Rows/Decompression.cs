using ICSharpCode.SharpZipLib;
using ICSharpCode.SharpZipLib.BZip2;
using ICSharpCode.SharpZipLib.GZip;

namespace LowRank.Data.Rows;

/// <summary>Opens compressed files, told by their first bytes: what a name says may be wrong.</summary>
internal static class Decompression
{
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
        failure is IOException or InvalidDataException or SharpZipBaseException or ZstdSharp.ZstdException or IndexOutOfRangeException;

    /// <summary>What to say of it.</summary>
    public static string Damaged(Exception failure) => $"the file cannot be read to its end ({failure.Message.TrimEnd('.')}). Check that it is whole.";

    /// <summary>The content of a file.</summary>
    /// <param name="file">At its beginning; owned by what is returned.</param>
    /// <param name="streamed">Whether it is read from its beginning to its end; otherwise it must not be compressed.</param>
    /// <exception cref="InputException">It is compressed otherwise, or no text.</exception>
    public static Stream Open(FileStream file, bool streamed)
    {
        Span<byte> first = stackalloc byte[8];
        first = first[..file.ReadAtLeast(first, first.Length, throwOnEndOfStream: false)];
        file.Position = 0;
        bool gzip = first.StartsWith(GZip), bzip2 = first.StartsWith(BZip2), zstandard = first.StartsWith(Zstandard);
        if (!streamed && (gzip || bzip2 || zstandard)) throw new InputException("the file is compressed as a whole, and its format is not read so: Parquet compresses its columns itself. Decompress it.");
        // .NET's own stream takes the end of a torn file for the end of its content.
        if (gzip) return new GZipInputStream(file);
        if (bzip2) return new BZip2Streams(new BufferedStream(file, 1 << 16));
        if (zstandard) return new ZstdSharp.DecompressionStream(file, leaveOpen: false);
        if (first.StartsWith(Xz)) throw new InputException("the file is compressed by xz, which is not read here. Decompress it (xz -d), or compress it by gzip or zstd.");
        if (first.StartsWith(Zip)) throw new InputException("the file is a zip archive (or a spreadsheet), which is not read here. Unpack it, or save it as CSV.");
        if (first.StartsWith(Utf16) || first.StartsWith(Utf16Reversed)) throw new InputException("the file is text in UTF-16. Save it as UTF-8.");
        if (streamed && first.StartsWith(Parquet)) throw new InputException("the file is Parquet, and its name does not say so. Let its name end in .parquet.");
        return file;
    }
}
