namespace LowRank.Tokenization.PreTokenizers;

/// <summary>A part of a text that the model turns into tokens by itself.</summary>
/// <param name="Text">The text it is part of.</param>
/// <param name="Start">Where it begins.</param>
/// <param name="Length">How many UTF-16 units it has.</param>
/// <param name="AsBytes">Whether the model sees its UTF-8 bytes, written in <see cref="ByteAlphabet"/>.</param>
/// <param name="Base">Where unit 0 of <paramref name="Text"/> stands in the normalised text; -1 and so on for what was put before it.</param>
/// <param name="Floor">What the units before the text stand for: its first one.</param>
/// <param name="Map">Where each unit of <paramref name="Text"/> stands, where that is no plain sequence.</param>
internal readonly record struct Piece(string Text, int Start, int Length, bool AsBytes, int Base = 0, int Floor = 0, int[]? Map = null)
{
    public ReadOnlySpan<char> Span => Text.AsSpan(Start, Length);

    /// <summary>Where a unit of <see cref="Text"/> stands in the normalised text.</summary>
    public int Origin(int unit) => Map is null ? Math.Max(Base + unit, Floor) : Map[unit];

    /// <summary>The piece as a text of its own, of the same length.</summary>
    public Piece Whole() => Length == Text.Length ? this
        : this with { Text = Span.ToString(), Start = 0, Base = Base + Start, Map = Map?[Start..(Start + Length)] };

    /// <summary>A whole piece with another text of the same length.</summary>
    public Piece WithText(string text) => this with { Text = text };

    /// <summary>A whole piece with a text before it.</summary>
    public Piece Prepended(string before)
    {
        Piece own = this;
        return new Piece(before + Text, 0, before.Length + Text.Length, AsBytes, Base - before.Length, Origin(0),
            Map is null ? null : [.. Enumerable.Repeat(own.Origin(0), before.Length), .. Map]);
    }

    /// <summary>A part of a whole piece.</summary>
    public Piece Part(int start, int length) => this with { Start = start, Length = length };
}
