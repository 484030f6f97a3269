using LowRank.Data;

namespace LowRank.Tasks.TokenClassification;

/// <summary>A text with a label for some of its tokens.</summary>
/// <param name="Input">The text.</param>
/// <param name="Labels">For each token its label's number, or -100 where none is learned.</param>
/// <param name="Words">The words, or pieces of text, that are answered for: each word of the row, also one without a token.</param>
/// <param name="Place">The row it was made from.</param>
public sealed record TaggedText(TextInput Input, int[] Labels, IReadOnlyList<TaggedWord> Words, DataPlace? Place) : IExample
{
    /// <inheritdoc/>
    public int Length => Input.Length;

    /// <inheritdoc/>
    public int Tokens => Input.Tokens;

    /// <inheritdoc/>
    public int PredictedLabels => Labels.Count(label => label != TokenizedExample.Ignored);
}
