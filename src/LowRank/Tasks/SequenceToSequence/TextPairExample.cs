using LowRank.Data;

namespace LowRank.Tasks.SequenceToSequence;

/// <summary>A source text and its target.</summary>
/// <param name="Input">The source.</param>
/// <param name="Labels">The target's tokens, -100 where one is not learned.</param>
/// <param name="Place">The row it was made from.</param>
public sealed record TextPairExample(TextInput Input, int[] Labels, DataPlace? Place) : IExample
{
    /// <inheritdoc/>
    public int Length => Math.Max(Input.Length, Labels.Length);

    /// <inheritdoc/>
    public int Tokens => Input.Tokens + Labels.Length;

    /// <inheritdoc/>
    public int PredictedLabels => Labels.Count(label => label != TokenizedExample.Ignored);
}
