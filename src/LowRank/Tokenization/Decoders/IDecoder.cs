namespace LowRank.Tokenization.Decoders;

/// <summary>Turns tokens towards text: a stage changes the list of tokens, and what is left at the end is joined.</summary>
internal interface IDecoder
{
    /// <summary>The changed tokens.</summary>
    /// <param name="tokens">The tokens.</param>
    /// <param name="budget">How long the text may become; null for one by the tokens' length.</param>
    IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null);
}
