namespace LowRank.Tokenization.Normalizers;

/// <summary>Changes a text before it is split.</summary>
internal interface INormalizer
{
    /// <summary>The changed text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="budget">How long it may become; null for the text's own.</param>
    string Normalize(string text, TextBudget? budget = null);

    /// <summary>The changed text with what each part of it stands for; the same text as <see cref="Normalize"/> gives.</summary>
    AlignedText Align(AlignedText text);
}
