namespace LowRank.Tokenization.Decoders;

/// <summary>A decoder that changes each token by its place and text.</summary>
internal sealed class TokenChange(Func<int, string, string> change) : IDecoder
{
    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens) => [.. tokens.Select((token, i) => change(i, token))];
}
