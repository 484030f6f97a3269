using System.Text;
using LowRank.Tokenizers.Patterns;

namespace LowRank.Tokenizers.PreTokenizers;

/// <summary>The split patterns of most models, as scanners, which are faster than any regular expression; other
/// patterns run as a <see cref="CodePointPattern"/>.</summary>
internal static class SplitPatterns
{
    /// <summary>GPT-2's pattern, which the ByteLevel pre-tokenizer uses.</summary>
    public const string Gpt2Text = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>Llama 3's pattern: groups of up to three digits.</summary>
    public const string Llama3Text =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>Qwen2's pattern: single digits.</summary>
    public const string Qwen2Text =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public static IPattern Gpt2 { get; } = new WordScanner(modern: false, digits: int.MaxValue);

    public static IPattern Llama3 { get; } = new WordScanner(modern: true, digits: 3);

    public static IPattern Qwen2 { get; } = new WordScanner(modern: true, digits: 1);

    /// <summary>The scanner for a known pattern, or otherwise the pattern as a regular expression.</summary>
    public static IPattern Regex(string pattern, string place) => pattern switch
    {
        Gpt2Text => Gpt2,
        Llama3Text => Llama3,
        Qwen2Text => Qwen2,
        _ => new RegexPattern(CodePointPattern.Compile(pattern, place)),
    };
}

/// <summary>Finds the matches of a pattern and the text between them.</summary>
internal interface IPattern
{
    /// <summary>The whole text in consecutive parts.</summary>
    /// <param name="text">The text.</param>
    /// <param name="budget">The maximum cost; null for the default for the text's length.</param>
    IEnumerable<(int Start, int Length, bool IsMatch)> Find(string text, TextBudget? budget = null);
}

/// <summary>A literal text.</summary>
internal sealed class LiteralPattern(string literal) : IPattern
{
    public IEnumerable<(int Start, int Length, bool IsMatch)> Find(string text, TextBudget? budget = null)
    {
        int end = 0;
        for (int at = text.IndexOf(literal, StringComparison.Ordinal); at >= 0; at = text.IndexOf(
            literal, end, StringComparison.Ordinal))
        {
            if (at > end) yield return (end, at - end, false);
            yield return (at, literal.Length, true);
            end = at + literal.Length;
        }
        if (end < text.Length) yield return (end, text.Length - end, false);
    }
}

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

/// <summary>Matches each character of a class separately.</summary>
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
