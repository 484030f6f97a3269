namespace LowRank.Tokenization.Decoders;

/// <summary>A decoder that changes each token by its place and text.</summary>
internal sealed class TokenChange(Func<int, string, TextBudget, string> change) : IDecoder
{
    /// <summary>A change that makes no token much longer.</summary>
    public TokenChange(Func<int, string, string> change) : this((place, token, _) => change(place, token)) { }

    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null)
    {
        budget ??= new TextBudget(tokens.Sum(token => (long)token.Length));
        var changed = new string[tokens.Count];
        long length = 0;
        for (int i = 0; i < changed.Length; i++)
        {
            changed[i] = change(i, tokens[i], budget);
            budget.Check(length += changed[i].Length);
        }
        return changed;
    }
}
