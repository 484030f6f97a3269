namespace LowRank.Tokenization.Normalizers;

/// <summary>A normalizer that is a function of the text.</summary>
internal sealed class TextChange(Func<string, string> change) : INormalizer
{
    public string Normalize(string text) => change(text);
}
