using System.Text;

namespace LowRank.Tokenizers.Patterns;

/// <summary>A regular expression from a tokenizer file, in the syntax that these files use (Oniguruma's for Ruby,
/// without captures), over whole code points. .NET's own engine sees halves of surrogate pairs as separate characters,
/// has no possessive quantifiers, and interprets some syntax differently. With case ignored, a letter equivalent to
/// several letters (ß for ss) only matches its own two cases.</summary>
internal sealed class CodePointPattern
{
    private readonly PatternStep[] steps;
    private readonly int registers;
    private readonly string source;

    private CodePointPattern(PatternNode pattern, string source)
    {
        (steps, registers) = PatternWriter.Compile(pattern);
        this.source = source;
    }

    /// <summary>Compiles a pattern.</summary>
    /// <param name="pattern">The pattern.</param>
    /// <param name="place">Its position, for messages.</param>
    /// <exception cref="InputException">The pattern is malformed or uses unsupported syntax.</exception>
    public static CodePointPattern Compile(string pattern, string place)
    {
        try
        {
            return new CodePointPattern(new PatternParser(pattern).Parse(), $"{place}: the pattern {pattern}");
        }
        catch (FormatException e)
        {
            throw new InputException($"{place}: the pattern {pattern} cannot be used: {e.Message}.", e);
        }
    }

    /// <summary>The matches from left to right. An empty match at the end of the previous match does not count, as in
    /// the tokenizers library.</summary>
    /// <param name="text">The text.</param>
    /// <param name="budget">The maximum number of steps; null for the default for the text's length.</param>
    public IEnumerable<(int Start, int Length)> Matches(string text, TextBudget? budget = null)
    {
        var machine = new PatternMachine(steps, registers, text, budget ?? new TextBudget(text.Length));
        int last = -1;
        for (int at = 0; at <= text.Length;)
        {
            int end = End(machine, at);
            if (end > at || (end == at && end != last))
            {
                yield return (at, end - at);
                last = end;
            }
            if (end > at) at = end;
            else at += at < text.Length && Rune.TryGetRuneAt(text, at, out Rune rune) ? rune.Utf16SequenceLength : 1;
        }
    }

    /// <summary>The text with each match replaced.</summary>
    public string Replace(string text, string content, TextBudget? budget = null)
    {
        budget ??= new TextBudget(text.Length);
        var result = new StringBuilder(text.Length);
        int copied = 0;
        foreach ((int start, int length) in Matches(text, budget))
        {
            budget.Check((long)result.Length + start - copied + content.Length);
            result.Append(text, copied, start - copied).Append(content);
            copied = start + length;
        }
        return result.Append(text, copied, text.Length - copied).ToString();
    }

    private int End(PatternMachine machine, int at)
    {
        try
        {
            return machine.Match(at);
        }
        catch (TimeoutException e)
        {
            throw new InputException($"{source} cannot be used: {e.Message}.", e);
        }
    }
}
