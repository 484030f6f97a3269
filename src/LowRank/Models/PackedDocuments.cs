using LowRank.Data.Packing;
using LowRank.Tensors.Kernels;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>How texts lie one after the other in a sequence: each sees itself and what it continues, nothing else.</summary>
/// <param name="Positions">The place of each token in its own text, [1, tokens].</param>
/// <param name="Segments">What attention takes at once; they cover the tokens in their order.</param>
/// <param name="Longest">Tokens of the longest text, those it continues included.</param>
public sealed record PackedDocuments(Tensor Positions, IReadOnlyList<PackedSegment> Segments, int Longest)
{
    /// <summary>Positions of each segment, in their order.</summary>
    internal long[] Sizes { get; } = [.. Segments.Select(segment => (long)segment.Tokens)];

    /// <summary>What attends to what.</summary>
    internal AttentionTexts Texts => texts ??= AttentionTexts.OfSegments([.. Segments.Select(segment => (segment.Length, segment.Count, segment.Before))]);

    private AttentionTexts? texts;
}
