namespace LowRank.Tokenization.PostProcessors;

/// <summary>The special tokens around a single text.</summary>
/// <param name="Before">Ids before the text.</param>
/// <param name="After">Ids after it.</param>
internal sealed record SpecialTokenFrame(IReadOnlyList<int> Before, IReadOnlyList<int> After)
{
    /// <summary>No special tokens.</summary>
    public static SpecialTokenFrame None { get; } = new([], []);
}
