using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>The layout of sequences packed into one row: each sees only itself and the sequences it
/// continues.</summary>
/// <param name="Positions">The position of each token in its own sequence, [1, tokens].</param>
/// <param name="Segments">The segments that attention processes together; they cover the tokens in order.</param>
/// <param name="Longest">Number of tokens in the longest sequence, including the sequences that it continues.</param>
internal sealed record PackedSequences(Tensor Positions, IReadOnlyList<PackedSegment> Segments, int Longest)
{
    private AttentionSequences? sequences;

    /// <summary>Positions of each segment, in order.</summary>
    internal long[] Sizes { get; } = [.. Segments.Select(segment => (long)segment.Tokens)];

    /// <summary>Which sequences attend to which.</summary>
    internal AttentionSequences Sequences => sequences ??= AttentionSequences.OfSegments(
        [.. Segments.Select(segment => (segment.Length, segment.Count, segment.Before))]);
}

/// <summary>A segment of packed sequences that attention processes together: sequences of the same length that do not
/// see each other.</summary>
/// <param name="Length">Tokens per sequence.</param>
/// <param name="Count">Number of adjacent sequences.</param>
/// <param name="Before">The numbers of the single-sequence segments that all of them continue, in token order.</param>
internal sealed record PackedSegment(int Length, int Count, IReadOnlyList<int> Before)
{
    /// <summary>Number of positions in the segment.</summary>
    public int Tokens => Length * Count;
}
