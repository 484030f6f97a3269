namespace LowRank.Corpus;

/// <summary>One meaning in WordNet: the words that carry it, what it is defined as, and what it is related
/// to.</summary>
/// <param name="Class">noun, verb, adjective or adverb.</param>
/// <param name="Words">The words, most usual first.</param>
/// <param name="Definition">The gloss without its examples.</param>
/// <param name="Examples">Example sentences.</param>
/// <param name="Parent">First word of the more general meaning, or null.</param>
/// <param name="Whole">First word of what it is part of, or null.</param>
/// <param name="Opposite">First word of its opposite, or null.</param>
public sealed record Synset(
    string Class, IReadOnlyList<string> Words, string Definition, IReadOnlyList<string> Examples,
    string? Parent, string? Whole, string? Opposite);
