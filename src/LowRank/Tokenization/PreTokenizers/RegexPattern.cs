using LowRank.Tokenization.Patterns;

namespace LowRank.Tokenization.PreTokenizers;

/// <summary>A regular expression from a tokenizer file.</summary>
internal sealed class RegexPattern(CodePointPattern pattern) : IPattern
{
    public IEnumerable<(int Start, int Length, bool IsMatch)> Find(string text, TextBudget? budget = null)
    {
        int end = 0;
        foreach ((int start, int length) in pattern.Matches(text, budget))
        {
            if (start > end) yield return (end, start - end, false);
            yield return (start, length, true); // an empty match splits too
            end = start + length;
        }
        if (end < text.Length) yield return (end, text.Length - end, false);
    }
}
