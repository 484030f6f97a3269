using System.Text;
using System.Text.RegularExpressions;

namespace LowRank.Tokenization;

/// <summary>Regular expressions from tokenizer files: compiled with a time limit, since files are not to be trusted.</summary>
internal static class UserPattern
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    /// <summary>Compiles a pattern.</summary>
    /// <exception cref="InputException">.NET does not know its syntax.</exception>
    public static Regex Compile(string pattern, string place)
    {
        try
        {
            return new Regex(Translated(pattern), RegexOptions.CultureInvariant, Limit);
        }
        catch (ArgumentException e)
        {
            throw new InputException($"{place}: the pattern {pattern} cannot be used: {e.Message} Expected a regular expression that .NET knows too.", e);
        }
    }

    // Oniguruma, which the files are written for, counts all marks and numbers into \w and sees characters where .NET sees
    // halves of surrogate pairs.
    private static string Translated(string pattern)
    {
        const string Word = @"\p{L}\p{M}\p{N}\p{Pc}", Any = @"(?:[\uD800-\uDBFF][\uDC00-\uDFFF]|[^\n])";
        var result = new StringBuilder(pattern.Length);
        bool inClass = false;
        for (int i = 0; i < pattern.Length; i++)
        {
            char c = pattern[i];
            if (c == '\\' && i + 1 < pattern.Length)
            {
                char escaped = pattern[++i];
                if (escaped == 'w') result.Append(inClass ? Word : $"[{Word}]");
                else if (escaped == 'W' && !inClass) result.Append($"[^{Word}]");
                else result.Append(c).Append(escaped);
                continue;
            }
            if (c == '[') inClass = true;
            else if (c == ']') inClass = false;
            result.Append(c == '.' && !inClass ? Any : c.ToString());
        }
        return result.ToString();
    }
}
