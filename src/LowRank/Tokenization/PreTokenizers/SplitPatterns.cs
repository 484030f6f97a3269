using LowRank.Tokenization.Patterns;

namespace LowRank.Tokenization.PreTokenizers;

/// <summary>The split patterns that most models use, as scanners, which are faster than any regular expression; other
/// patterns run as <see cref="CodePointPattern"/>.</summary>
internal static class SplitPatterns
{
    /// <summary>GPT-2's pattern, which the ByteLevel pre-tokenizer uses.</summary>
    public const string Gpt2Text = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>Llama 3's pattern: digits in threes.</summary>
    public const string Llama3Text = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>Qwen2's pattern: digits singly.</summary>
    public const string Qwen2Text = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public static IPattern Gpt2 { get; } = new WordScanner(modern: false, digits: int.MaxValue);

    public static IPattern Llama3 { get; } = new WordScanner(modern: true, digits: 3);

    public static IPattern Qwen2 { get; } = new WordScanner(modern: true, digits: 1);

    /// <summary>The scanner of a known pattern, or the pattern as a regular expression.</summary>
    public static IPattern Regex(string pattern, string place) => pattern switch
    {
        Gpt2Text => Gpt2,
        Llama3Text => Llama3,
        Qwen2Text => Qwen2,
        _ => new RegexPattern(CodePointPattern.Compile(pattern, place)),
    };
}
