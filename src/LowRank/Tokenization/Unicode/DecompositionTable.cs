using System.Diagnostics.CodeAnalysis;

namespace LowRank.Tokenization.Unicode;

/// <summary>The full decompositions of one kind, canonical or compatibility, without the Hangul syllables.</summary>
internal sealed class DecompositionTable(Dictionary<int, int[]> decompositions)
{
    /// <summary>The characters that decomposing may change or move: a text without them is decomposed already.</summary>
    public CodePointSet AffectedDecomposing { get; } = new();

    /// <summary>The characters that decomposing and composing again may change, move or join to the one before.</summary>
    public CodePointSet AffectedComposing { get; } = new();

    /// <summary>All characters with a decomposition.</summary>
    public IEnumerable<int> Points => decompositions.Keys;

    /// <summary>The characters that one becomes in full, marks not yet in canonical order.</summary>
    public bool TryGet(int point, [NotNullWhen(true)] out int[]? parts) => decompositions.TryGetValue(point, out parts);
}
