using System.Text;

namespace LowRank.Tokenizers;

/// <summary>GPT-2's representation of bytes as characters: printable bytes as themselves, the others from U+0100
/// on.</summary>
internal static class ByteAlphabet
{
    private static readonly char[] Characters = MakeCharacters();
    private static readonly Dictionary<char, byte> Bytes = Characters.Select((c, b) => (c, b))
        .ToDictionary(p => p.c, p => (byte)p.b);

    /// <summary>The character of a byte.</summary>
    public static char Character(int value) => Characters[value];

    /// <summary>The byte of a character, if it represents one.</summary>
    public static bool TryByte(char character, out byte value) => Bytes.TryGetValue(character, out value);

    /// <summary>The characters of a text's UTF-8 bytes.</summary>
    public static string Write(ReadOnlySpan<char> text)
    {
        var bytes = new byte[Encoding.UTF8.GetMaxByteCount(text.Length)];
        int count = Encoding.UTF8.GetBytes(text, bytes);
        return string.Create(count, bytes, static (written, source) =>
        {
            for (int i = 0; i < written.Length; i++) written[i] = Characters[source[i]];
        });
    }

    private static char[] MakeCharacters()
    {
        var characters = new char[256];
        int next = 256;
        for (int b = 0; b < 256; b++)
            characters[b] = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF) ? (char)b
                : (char)next++;
        return characters;
    }
}
