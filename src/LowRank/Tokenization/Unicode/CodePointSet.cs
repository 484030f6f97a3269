namespace LowRank.Tokenization.Unicode;

/// <summary>A set of characters as one bit each, for planes 0 to 2; the planes above hold nothing that normalization changes.</summary>
internal sealed class CodePointSet
{
    private const int Limit = 0x30000;
    private readonly ulong[] bits = new ulong[Limit / 64];

    /// <summary>Whether the set holds the character.</summary>
    public bool Contains(int point) => point < Limit && (bits[point >> 6] & (1UL << (point & 63))) != 0;

    /// <summary>Adds a character of planes 0 to 2.</summary>
    public void Add(int point) => bits[point >> 6] |= 1UL << (point & 63);
}
