using System.Text.RegularExpressions;

namespace LowRank.Metrics;

/// <summary>How BLEU takes texts apart; a score without its tokenisation says nothing.</summary>
public sealed partial class BleuTokenization
{
    private readonly Func<string, string[]> split;

    private BleuTokenization(string name, Func<string, string[]> split) => (Name, this.split) = (name, split);

    /// <summary>mteval-v13a's, sacrebleu's default: Western punctuation apart, numbers kept whole.</summary>
    public static BleuTokenization V13A { get; } = new("13a", line => Words(Apart(line)));

    /// <summary>At blanks only.</summary>
    public static BleuTokenization None { get; } = new("none", Words);

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>A text's words.</summary>
    public string[] Split(string text) => split(text.TrimEnd());

    private static string Apart(string line)
    {
        line = line.Replace("<skipped>", "", StringComparison.Ordinal).Replace("-\n", "", StringComparison.Ordinal).Replace('\n', ' ')
            .Replace("&quot;", "\"", StringComparison.Ordinal).Replace("&amp;", "&", StringComparison.Ordinal)
            .Replace("&lt;", "<", StringComparison.Ordinal).Replace("&gt;", ">", StringComparison.Ordinal);
        line = Symbols().Replace($" {line} ", " $1 ");
        line = PointAfterOther().Replace(line, "$1 $2 ");
        line = PointBeforeOther().Replace(line, " $1 $2");
        return DashAfterDigit().Replace(line, "$1 $2 ");
    }

    private static string[] Words(string line) => line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);

    [GeneratedRegex(@"([\{-\~\[-\` -\&\(-\+\:-\@\/])")]
    private static partial Regex Symbols();

    [GeneratedRegex(@"([^0-9])([\.,])")]
    private static partial Regex PointAfterOther();

    [GeneratedRegex(@"([\.,])([^0-9])")]
    private static partial Regex PointBeforeOther();

    [GeneratedRegex(@"([0-9])(-)")]
    private static partial Regex DashAfterDigit();
}
