using LowRank.Data;

namespace LowRank.Tasks.TextEmbedding;

/// <summary>Two texts that belong together, and one that does not.</summary>
/// <param name="Anchor">The text.</param>
/// <param name="Positive">Its partner; null to embed the text alone.</param>
/// <param name="Negative">A text like the partner that is none; null where the other rows' partners do.</param>
/// <param name="Place">The row it was made from.</param>
public sealed record EmbeddingExample(TextInput Anchor, TextInput? Positive, TextInput? Negative, DataPlace? Place) : IExample
{
    /// <inheritdoc/>
    public int Length => Math.Max(Anchor.Length, Math.Max(Positive?.Length ?? 0, Negative?.Length ?? 0));

    /// <inheritdoc/>
    public int Tokens => Anchor.Tokens + (Positive?.Tokens ?? 0) + (Negative?.Tokens ?? 0);

    /// <inheritdoc/>
    public int PredictedLabels => Positive is null ? 0 : 1;
}
