namespace LowRank.Generation;

/// <summary>Counts which of a list of facts a text states.</summary>
internal static class FactCheck
{
    /// <summary>The number of facts that occur in the text, ignoring letter case and runs of white space.</summary>
    public static int CountStated(string text, IEnumerable<string> facts)
    {
        string folded = Fold(text);
        return facts.Count(fact => folded.Contains(Fold(fact), StringComparison.OrdinalIgnoreCase));
    }

    private static string Fold(string text) =>
        string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
}
