using System.Buffers.Binary;
using System.Text;

namespace LowRank.Kernels.Native;

/// <summary>Marks one required symbol version of an ELF library as weak, so that a dynamic linker whose C++ runtime
/// lacks the version loads the library instead of rejecting it.</summary>
/// <remarks>
/// TorchSharp 0.107's <c>libLibTorchSharp.so</c> requires <c>GLIBCXX_3.4.32</c> for the symbol
/// <c>_ZSt21ios_base_library_initv</c> alone, which nothing in the library relocates against. Setting
/// <c>VER_FLG_WEAK</c> in the entry's <c>vna_flags</c> changes one byte and no behaviour.
/// Source: System V gABI and the LSB, "Symbol Versioning", section .gnu.version_r.
/// </remarks>
internal static class ElfVersionPatch
{
    private const int ProgramHeaderDynamic = 2;
    private const int ProgramHeaderLoad = 1;
    private const long TagNull = 0;
    private const long TagStringTable = 5;
    private const long TagVersionNeed = 0x6ffffffe;
    private const long TagVersionNeedCount = 0x6fffffff;
    private const ushort FlagWeak = 2;

    /// <summary>Sets the weak flag of <paramref name="version"/> in the ELF image, in place.</summary>
    /// <param name="image">A complete little-endian 64-bit ELF shared library.</param>
    /// <param name="version">The version's name, such as <c>GLIBCXX_3.4.32</c>.</param>
    /// <returns>Whether the image required the version; if false, the image is unchanged.</returns>
    /// <exception cref="InvalidDataException">The image is not such a library, or its tables point outside
    /// it.</exception>
    public static bool MarkWeak(byte[] image, string version)
    {
        if (image.Length < 64 || image[0] != 0x7f || image[1] != 'E' || image[2] != 'L' || image[3] != 'F'
            || image[4] != 2 || image[5] != 1)
            throw new InvalidDataException("Not a little-endian 64-bit ELF file.");
        try
        {
            return MarkWeak(image.AsSpan(), version);
        }
        catch (Exception e) when (e is ArgumentOutOfRangeException or OverflowException)
        {
            throw new InvalidDataException("The ELF file's tables point outside the file.", e);
        }
    }

    private static bool MarkWeak(Span<byte> image, string version)
    {
        long versionNeed = 0, versionNeedCount = 0, strings = 0;
        (long dynamicOffset, long dynamicSize) = FindDynamic(image);
        for (long at = dynamicOffset; at < dynamicOffset + dynamicSize; at += 16)
        {
            long tag = Int64(image, at), value = Int64(image, at + 8);
            if (tag == TagNull) break;
            if (tag == TagStringTable) strings = value;
            if (tag == TagVersionNeed) versionNeed = value;
            if (tag == TagVersionNeedCount) versionNeedCount = value;
        }
        if (versionNeed == 0 || strings == 0) return false;

        long stringsOffset = FileOffset(image, strings);
        long need = FileOffset(image, versionNeed);
        byte[] wanted = Encoding.ASCII.GetBytes(version + '\0');
        for (long i = 0; i < versionNeedCount; i++)
        {
            // Verneed: vn_version u16, vn_cnt u16, vn_file u32, vn_aux u32, vn_next u32
            int count = UInt16(image, need + 2);
            long auxiliary = need + UInt32(image, need + 8);
            for (int j = 0; j < count; j++)
            {
                // Vernaux: vna_hash u32, vna_flags u16, vna_other u16, vna_name u32, vna_next u32
                long name = stringsOffset + UInt32(image, auxiliary + 8);
                if (Slice(image, name, wanted.Length).SequenceEqual(wanted))
                {
                    ushort flags = (ushort)(UInt16(image, auxiliary + 4) | FlagWeak);
                    BinaryPrimitives.WriteUInt16LittleEndian(Slice(image, auxiliary + 4, 2), flags);
                    return true;
                }
                uint nextAuxiliary = UInt32(image, auxiliary + 12);
                if (nextAuxiliary == 0) break;
                auxiliary += nextAuxiliary;
            }
            // Zero ends the list, whatever the count says: a damaged count must not cause an endless loop.
            uint next = UInt32(image, need + 12);
            if (next == 0) break;
            need += next;
        }
        return false;
    }

    private static (long Offset, long Size) FindDynamic(Span<byte> image)
    {
        foreach ((int type, long offset, _, long size) in ProgramHeaders(image))
            if (type == ProgramHeaderDynamic) return (offset, size);
        throw new InvalidDataException("The ELF file has no dynamic section: not a shared library.");
    }

    private static long FileOffset(Span<byte> image, long address)
    {
        foreach ((int type, long offset, long start, long size) in ProgramHeaders(image))
            if (type == ProgramHeaderLoad && address >= start && address < start + size)
                return address - start + offset;
        throw new InvalidDataException($"The ELF file maps no segment at address 0x{address:x}.");
    }

    private static List<(int Type, long Offset, long Address, long Size)> ProgramHeaders(Span<byte> image)
    {
        long table = Int64(image, 32);
        int entry = UInt16(image, 54), count = UInt16(image, 56);
        var headers = new List<(int, long, long, long)>(count);
        for (int i = 0; i < count; i++)
        {
            long at = table + (long)i * entry;
            headers.Add(((int)UInt32(image, at), Int64(image, at + 8), Int64(image, at + 16), Int64(image, at + 32)));
        }
        return headers;
    }

    private static Span<byte> Slice(Span<byte> image, long offset, int length) =>
        image.Slice(checked((int)offset), length);

    private static long Int64(Span<byte> image, long offset) =>
        BinaryPrimitives.ReadInt64LittleEndian(Slice(image, offset, 8));

    private static uint UInt32(Span<byte> image, long offset) =>
        BinaryPrimitives.ReadUInt32LittleEndian(Slice(image, offset, 4));

    private static ushort UInt16(Span<byte> image, long offset) =>
        BinaryPrimitives.ReadUInt16LittleEndian(Slice(image, offset, 2));
}
