using System.Text;

namespace LowRank.Tokenization.PreTokenizers;

/// <summary>Matches each character of a class by itself.</summary>
internal sealed class RunePattern(Func<Rune, bool> matches) : IPattern
{
    public IEnumerable<(int Start, int Length, bool IsMatch)> Find(string text, TextBudget? budget = null)
    {
        int between = 0;
        for (int i = 0; i < text.Length;)
        {
            Rune.DecodeFromUtf16(text.AsSpan(i), out Rune rune, out int length);
            if (matches(rune))
            {
                if (i > between) yield return (between, i - between, false);
                yield return (i, length, true);
                between = i + length;
            }
            i += length;
        }
        if (between < text.Length) yield return (between, text.Length - between, false);
    }
}
