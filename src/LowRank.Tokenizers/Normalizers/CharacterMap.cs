using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace LowRank.Tokenizers.Normalizers;

/// <summary>sentencepiece's precompiled character map (nmt_nfkc and others): a double-array trie (Aoe 1989, in
/// darts-clone's format) from UTF-8 bytes to replacements.</summary>
internal sealed class CharacterMap
{
    private readonly uint[] units;
    private readonly byte[] texts; // each ends with a zero byte

    /// <summary>Reads the map's bytes.</summary>
    /// <param name="blob">The trie's size in bytes, the trie, the replacements.</param>
    /// <param name="place">Their position, for messages.</param>
    /// <exception cref="InputException">The bytes are truncated.</exception>
    public CharacterMap(ReadOnlySpan<byte> blob, string place)
    {
        if (blob.Length < 4)
            throw new InputException(
                $"{place}: the map of characters has {blob.Length} bytes, expected a trie and replacements. The " +
                "file is damaged.");
        uint size = BinaryPrimitives.ReadUInt32LittleEndian(blob);
        if (size % 4 != 0 || size > blob.Length - 4)
            throw new InputException(
                $"{place}: the map of characters says that its trie has {size} bytes of {blob.Length - 4}. The " +
                "file is damaged.");
        units = new uint[size / 4];
        for (int i = 0; i < units.Length; i++) units[i] = BinaryPrimitives.ReadUInt32LittleEndian(blob[(4 + 4 * i)..]);
        texts = blob[(4 + (int)size)..].ToArray();
    }

    /// <summary>The replacement for the shortest entry that a text starts with; null if there is none.</summary>
    public string? Shortest(ReadOnlySpan<char> text) => Find(text, longest: false)?.Text;

    /// <summary>The replacement for the longest entry that a text starts with, and the entry's length in UTF-16
    /// units.</summary>
    public (string Text, int Length)? Longest(ReadOnlySpan<char> text) => Find(text, longest: true);

    private (string Text, int Length)? Find(ReadOnlySpan<char> text, bool longest)
    {
        if (units.Length == 0) return null;
        Span<byte> bytes = stackalloc byte[4];
        (long Value, int Length)? found = null;
        uint position = Offset(units[0]);
        for (int i = 0; i < text.Length;)
        {
            Rune.DecodeFromUtf16(text[i..], out Rune rune, out int length);
            int count = rune.EncodeToUtf8(bytes);
            i += length;
            for (int k = 0; k < count; k++)
            {
                if (bytes[k] == 0) return Result(found);
                position ^= bytes[k];
                if (position >= units.Length) return Result(found);
                uint unit = units[position];
                if ((unit & 0x800000FF) != bytes[k]) return Result(found);
                position ^= Offset(unit);
                if (((unit >> 8) & 1) == 0 || position >= units.Length) continue;
                found = (units[position] & 0x7FFFFFFF, i);
                if (!longest) return Result(found);
            }
        }
        return Result(found);
    }

    private (string Text, int Length)? Result((long Value, int Length)? found)
    {
        if (found is not { } entry || entry.Value >= texts.Length) return null;
        ReadOnlySpan<byte> rest = texts.AsSpan((int)entry.Value);
        int end = rest.IndexOf((byte)0);
        return (Encoding.UTF8.GetString(end < 0 ? rest : rest[..end]), entry.Length);
    }

    private static uint Offset(uint unit) => (unit >> 10) << (int)((unit & (1u << 9)) >> 6);
}
