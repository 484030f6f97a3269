using System.Text.RegularExpressions;

namespace LowRank.Tokenization.PreTokenizers;

/// <summary>A regular expression from a tokenizer file.</summary>
internal sealed class RegexPattern(Regex regex) : IPattern
{
    public IEnumerable<(int Start, int Length, bool IsMatch)> Find(string text)
    {
        int end = 0;
        for (Match match = regex.Match(text); match.Success; match = match.NextMatch())
        {
            if (match.Length == 0) continue;
            if (match.Index > end) yield return (end, match.Index - end, false);
            yield return (match.Index, match.Length, true);
            end = match.Index + match.Length;
        }
        if (end < text.Length) yield return (end, text.Length - end, false);
    }
}
