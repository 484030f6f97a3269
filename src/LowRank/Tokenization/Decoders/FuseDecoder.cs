namespace LowRank.Tokenization.Decoders;

/// <summary>Joins all tokens to one.</summary>
internal sealed class FuseDecoder : IDecoder
{
    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null) => [string.Concat(tokens)];
}
