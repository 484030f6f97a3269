namespace LowRank.Tokenization.PreTokenizers;

/// <summary>A part of a text that the model turns into tokens by itself.</summary>
/// <param name="Text">The text it is part of.</param>
/// <param name="Start">Where it begins.</param>
/// <param name="Length">How many UTF-16 units it has.</param>
/// <param name="AsBytes">Whether the model sees its UTF-8 bytes, written in <see cref="ByteAlphabet"/>.</param>
internal readonly record struct Piece(string Text, int Start, int Length, bool AsBytes)
{
    public ReadOnlySpan<char> Span => Text.AsSpan(Start, Length);
}
