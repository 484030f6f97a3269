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
            return new Regex(pattern, RegexOptions.CultureInvariant, Limit);
        }
        catch (ArgumentException e)
        {
            throw new InputException($"{place}: the pattern {pattern} cannot be used: {e.Message} Expected a regular expression that .NET knows too.", e);
        }
    }
}
