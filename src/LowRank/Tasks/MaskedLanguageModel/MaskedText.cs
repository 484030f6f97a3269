using LowRank.Data;

namespace LowRank.Tasks.MaskedLanguageModel;

/// <summary>A text of which some tokens are predicted from the others.</summary>
/// <param name="Input">The text.</param>
/// <param name="Labels">Given labels, -100 where none is predicted; null draws them anew each time.</param>
/// <param name="Maskable">Positions that may be drawn: tokens that are not special.</param>
/// <param name="Drawn">How many of them are.</param>
/// <param name="Place">The row it was made from.</param>
public sealed record MaskedText(TextInput Input, int[]? Labels, int[] Maskable, int Drawn, DataPlace? Place) : IExample
{
    /// <inheritdoc/>
    public int Length => Input.Length;

    /// <inheritdoc/>
    public int Tokens => Input.Tokens;

    /// <inheritdoc/>
    public int PredictedLabels => Labels is null ? Drawn : Labels.Count(label => label != TokenizedExample.Ignored);
}
