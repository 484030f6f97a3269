namespace LowRank.Tokenization.PreTokenizers;

/// <summary>A text that stands for itself.</summary>
internal sealed class LiteralPattern(string literal) : IPattern
{
    public IEnumerable<(int Start, int Length, bool IsMatch)> Find(string text, TextBudget? budget = null)
    {
        int end = 0;
        for (int at = text.IndexOf(literal, StringComparison.Ordinal); at >= 0; at = text.IndexOf(literal, end, StringComparison.Ordinal))
        {
            if (at > end) yield return (end, at - end, false);
            yield return (at, literal.Length, true);
            end = at + literal.Length;
        }
        if (end < text.Length) yield return (end, text.Length - end, false);
    }
}
