using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>How sequences lie one after the other in one row: each sees itself and what it continues, nothing
/// else.</summary>
/// <param name="Positions">The place of each token in its own sequence, [1, tokens].</param>
/// <param name="Segments">What attention takes at once; they cover the tokens in their order.</param>
/// <param name="Longest">Tokens of the longest sequence, those it continues included.</param>
public sealed record PackedSequences(Tensor Positions, IReadOnlyList<PackedSequence> Segments, int Longest)
{
    private AttentionSequences? sequences;

    /// <summary>Positions of each segment, in their order.</summary>
    internal long[] Sizes { get; } = [.. Segments.Select(segment => (long)segment.Tokens)];

    /// <summary>What attends to what.</summary>
    internal AttentionSequences Sequences => sequences ??= AttentionSequences.OfSegments(
        [.. Segments.Select(segment => (segment.Length, segment.Count, segment.Before))]);
}

/// <summary>A segment of packed sequences that attention processes together: sequences of the same length that do not
/// see each other.</summary>
/// <param name="Length">Tokens per sequence.</param>
/// <param name="Count">Number of adjacent sequences.</param>
/// <param name="Before">The numbers of the single-sequence segments that all of them continue, in token order.</param>
public sealed record PackedSequence(int Length, int Count, IReadOnlyList<int> Before)
{
    /// <summary>Number of positions in the segment.</summary>
    public int Tokens => Length * Count;
}
