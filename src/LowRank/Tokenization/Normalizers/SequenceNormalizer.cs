namespace LowRank.Tokenization.Normalizers;

/// <summary>Normalizers one after another.</summary>
internal sealed class SequenceNormalizer(IReadOnlyList<INormalizer> parts) : INormalizer
{
    public string Normalize(string text) => parts.Aggregate(text, (current, part) => part.Normalize(current));

    public AlignedText Align(AlignedText text) => parts.Aggregate(text, (current, part) => part.Align(current));
}
