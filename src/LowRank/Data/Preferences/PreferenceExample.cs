namespace LowRank.Data.Preferences;

/// <summary>Two completions of a prompt, the preferred one and the other. The labels of each are its completion's
/// tokens.</summary>
/// <param name="Chosen">The prompt with the preferred completion.</param>
/// <param name="Rejected">The prompt with the other one.</param>
/// <param name="Place">The row that both are from.</param>
internal sealed record PreferencePair(TokenizedExample Chosen, TokenizedExample Rejected, DataPlace? Place) : IExample
{
    /// <inheritdoc/>
    public int Length => Math.Max(Chosen.Length, Rejected.Length);

    /// <inheritdoc/>
    public int Tokens => Chosen.Tokens + Rejected.Tokens;

    /// <summary>1: a step's loss is the mean over its pairs.</summary>
    public int PredictedLabels => 1;
}

/// <summary>A completion that is wanted or not.</summary>
/// <param name="Completion">The prompt with its completion, whose tokens are the labels.</param>
/// <param name="Mismatched">The same prompt with the completion of another row, by which KTO estimates how far the
/// model has moved (arXiv 2402.01306, section 4.1).</param>
/// <param name="IsDesirable">Whether the completion is wanted.</param>
/// <param name="Place">The row that it is from.</param>
internal sealed record RatedCompletion(
    TokenizedExample Completion, TokenizedExample Mismatched, bool IsDesirable, DataPlace? Place) : IExample
{
    /// <inheritdoc/>
    public int Length => Math.Max(Completion.Length, Mismatched.Length);

    /// <inheritdoc/>
    public int Tokens => Completion.Tokens + Mismatched.Tokens;

    /// <summary>1: a step's loss is the mean over its completions.</summary>
    public int PredictedLabels => 1;
}
