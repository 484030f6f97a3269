namespace LowRank.Tokenization.Normalizers;

/// <summary>Normalizers one after another.</summary>
internal sealed class SequenceNormalizer(IReadOnlyList<INormalizer> parts) : INormalizer
{
    public string Normalize(string text, TextBudget? budget = null)
    {
        budget ??= new TextBudget(text.Length);
        return parts.Aggregate(text, (current, part) => part.Normalize(current, budget));
    }

    public AlignedText Align(AlignedText text) => parts.Aggregate(text, (current, part) => part.Align(current));
}
