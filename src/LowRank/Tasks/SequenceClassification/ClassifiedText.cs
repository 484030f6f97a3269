using LowRank.Data;

namespace LowRank.Tasks.SequenceClassification;

/// <summary>A text and what it is labelled.</summary>
/// <param name="Input">The text, or pair of texts.</param>
/// <param name="Target">The label's number; for several labels 1 for each that holds and 0 for the others; for regression
/// the value. Null when the row has no label.</param>
/// <param name="Place">The row it was made from.</param>
public sealed record ClassifiedText(TextInput Input, double[]? Target, DataPlace? Place) : IExample
{
    /// <inheritdoc/>
    public int Length => Input.Length;

    /// <inheritdoc/>
    public int Tokens => Input.Tokens;

    /// <inheritdoc/>
    public int PredictedLabels => Target is null ? 0 : 1;
}
