using System.Text.RegularExpressions;

namespace LowRank.Adapters.Patterns;

/// <summary>A regular expression of Python's <c>re</c>, as adapter configs hold them, run by .NET with Python's meaning.</summary>
internal sealed class PythonRegex
{
    // far above what a path of a hundred letters needs; a pattern that backtracks without end is stopped
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(1);

    private readonly Regex regex;
    private readonly string pattern;
    private readonly string key;

    private PythonRegex(string translated, string pattern, string key)
    {
        this.pattern = pattern;
        this.key = key;
        try
        {
            regex = new Regex(translated, RegexOptions.CultureInvariant, Limit);
        }
        catch (ArgumentException failure)
        {
            throw new InputException($"{key}: \"{pattern}\" is no regular expression: {failure.Message}", failure);
        }
    }

    /// <summary>Python's <c>re.fullmatch(pattern, path)</c>.</summary>
    /// <param name="pattern">The user's pattern.</param>
    /// <param name="key">The config's key, for messages.</param>
    public static PythonRegex Whole(string pattern, string key) =>
        new($@"\A(?:{PythonRegexTranslator.Translate(pattern, key, embedded: false)})\z", pattern, key);

    /// <summary>Python's <c>re.match(before + pattern + after, path)</c>: from the start, to wherever it ends.</summary>
    /// <param name="before">Own text before the user's pattern, the same in Python and .NET.</param>
    /// <param name="pattern">The user's pattern.</param>
    /// <param name="after">Own text behind it.</param>
    /// <param name="key">The config's key, for messages.</param>
    public static PythonRegex Within(string before, string pattern, string after, string key) =>
        new($@"\A(?:{before}{PythonRegexTranslator.Translate(pattern, key, embedded: true)}{after})", pattern, key);

    /// <summary>How many groups the whole expression has, the surrounding ones included.</summary>
    public int GroupCount => regex.GetGroupNumbers().Length - 1;

    /// <summary>Whether the pattern matches the path.</summary>
    public bool IsMatch(string path) => Match(path).Success;

    /// <summary>The match; groups are numbered as in Python.</summary>
    /// <exception cref="InputException">The pattern takes longer than a second on one path.</exception>
    public Match Match(string path)
    {
        try
        {
            return regex.Match(path);
        }
        catch (RegexMatchTimeoutException failure)
        {
            throw new InputException($"{key}: \"{pattern}\" takes more than a second on \"{path}\"; write it without nested repetitions", failure);
        }
    }
}
