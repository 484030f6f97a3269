namespace LowRank.Tokenization.Decoders;

/// <summary>Decoders one after another.</summary>
internal sealed class SequenceDecoder(IReadOnlyList<IDecoder> stages) : IDecoder
{
    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null)
    {
        budget ??= new TextBudget(tokens.Sum(token => (long)token.Length));
        return stages.Aggregate(tokens, (current, stage) => stage.Decode(current, budget));
    }
}
