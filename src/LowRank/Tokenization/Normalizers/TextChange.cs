namespace LowRank.Tokenization.Normalizers;

/// <summary>A normalizer that is a function of the text.</summary>
/// <param name="change">The function.</param>
/// <param name="align">The same with the alignment kept.</param>
internal sealed class TextChange(Func<string, TextBudget, string> change, Func<AlignedText, AlignedText> align) : INormalizer
{
    public string Normalize(string text, TextBudget? budget = null)
    {
        budget ??= new TextBudget(text.Length);
        string changed = change(text, budget);
        budget.Check(changed.Length);
        return changed;
    }

    public AlignedText Align(AlignedText text) => align(text);

    /// <summary>A change of clusters, such as a Unicode normalization.</summary>
    public static TextChange OfClusters(Func<string, string> change) => new((text, _) => change(text), text => text.MapClusters(change));

    /// <summary>A change of single characters: of any text, character by character, it gives the same.</summary>
    public static TextChange OfCharacters(Func<string, string> change) => new((text, _) => change(text), text => text.MapCharacters(rune => change(rune.ToString())));
}
