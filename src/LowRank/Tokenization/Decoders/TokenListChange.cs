namespace LowRank.Tokenization.Decoders;

/// <summary>A decoder that is a function of all tokens.</summary>
internal sealed class TokenListChange(Func<IReadOnlyList<string>, IReadOnlyList<string>> change) : IDecoder
{
    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null) => change(tokens);
}
