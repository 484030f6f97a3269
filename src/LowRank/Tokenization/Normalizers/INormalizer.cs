namespace LowRank.Tokenization.Normalizers;

/// <summary>Changes a text before it is split.</summary>
internal interface INormalizer
{
    /// <summary>The changed text.</summary>
    string Normalize(string text);
}
