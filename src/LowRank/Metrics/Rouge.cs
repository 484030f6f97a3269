using System.Text.RegularExpressions;

namespace LowRank.Metrics;

/// <summary>ROUGE-L (Lin 2004): F1 of the longest common subsequence of words; as in Google's rouge_score without
/// stemming: lower case, words separated by anything except a-z and 0-9.</summary>
internal static partial class Rouge
{
    /// <summary>The mean over texts of the best F1 with a reference, 0 to 100.</summary>
    /// <param name="hypotheses">The texts.</param>
    /// <param name="references">For each text at least one reference.</param>
    /// <exception cref="ArgumentException">There are no texts, the numbers differ, or a text has no
    /// reference.</exception>
    public static double L(IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references)
    {
        Pairs.Check(references.Count, hypotheses.Count);
        int bare = references.ToList().FindIndex(texts => texts.Count == 0);
        if (bare >= 0)
            throw new ArgumentException(
                $"Text {bare + 1} has no reference, expected at least one.", nameof(references));
        return 100 * hypotheses.Select((text, i) => references[i].Max(reference => F1(Words(reference), Words(text))))
            .Average();
    }

    private static double F1(string[] truth, string[] found)
    {
        int common = LongestCommon(truth, found);
        return common == 0 ? 0 : 2.0 * common / (truth.Length + found.Length);
    }

    private static int LongestCommon(string[] a, string[] b)
    {
        var row = new int[b.Length + 1];
        foreach (string word in a)
        {
            int diagonal = 0;
            for (int j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], word == b[j - 1] ? diagonal + 1 : Math.Max(row[j], row[j - 1]));
        }
        return row[^1];
    }

    private static string[] Words(string text) =>
        Other().Replace(text.ToLowerInvariant(), " ").Split(' ', StringSplitOptions.RemoveEmptyEntries);

    [GeneratedRegex("[^a-z0-9]+")]
    private static partial Regex Other();
}
