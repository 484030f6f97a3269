namespace LowRank.Tokenization.Normalizers;

/// <summary>Changes a text before it is split.</summary>
internal interface INormalizer
{
    /// <summary>The changed text.</summary>
    string Normalize(string text);

    /// <summary>The changed text with what each part of it stands for; the same text as <see cref="Normalize"/> gives.</summary>
    AlignedText Align(AlignedText text);
}
