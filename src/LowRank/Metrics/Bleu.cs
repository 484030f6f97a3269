using System.Text.RegularExpressions;

namespace LowRank.Metrics;

/// <summary>BLEU of a corpus with any number of references per text (Papineni et al. 2002), n-grams of 1 to 4
/// words.</summary>
/// <param name="Score">The score, 0 to 100.</param>
/// <param name="Precisions">Share of matching n-grams of each order, 0 to 100.</param>
/// <param name="BrevityPenalty">1, or less if the texts are shorter than the references.</param>
/// <param name="HypothesisLength">Number of words in all texts.</param>
/// <param name="ReferenceLength">Number of words in the references closest in length.</param>
/// <param name="Tokenization">The tokenisation's name.</param>
internal sealed record Bleu(
    double Score, IReadOnlyList<double> Precisions, double BrevityPenalty, long HypothesisLength,
    long ReferenceLength, string Tokenization)
{
    private const int Orders = 4;

    /// <summary>Measures texts like sacrebleu (arXiv 1804.08771).</summary>
    /// <param name="hypotheses">The texts.</param>
    /// <param name="references">For each text at least one reference.</param>
    /// <param name="tokenization">How to split words; 13a by default.</param>
    /// <param name="smoothing">The smoothing of orders without a match; exponential by default.</param>
    /// <exception cref="ArgumentException">There are no texts, the numbers differ, or a text has no
    /// reference.</exception>
    public static Bleu Compute(IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references,
        BleuTokenization? tokenization = null, BleuSmoothing smoothing = BleuSmoothing.Exponential)
    {
        BleuTokenization words = tokenization ?? BleuTokenization.V13A;
        NGramMatches matches = NGramMatches.Compute(hypotheses, references, words.Split, Orders);
        double penalty = matches.HypothesisLength >= matches.ReferenceLength ? 1
            : matches.HypothesisLength == 0 ? 0
            : Math.Exp(1 - (double)matches.ReferenceLength / matches.HypothesisLength);
        var precisions = new double[Orders];
        if (matches.Right.Any(right => right > 0))
        {
            double halving = 1;
            for (int n = 0; n < Orders && matches.Total[n] > 0; n++)
            {
                if (matches.Right[n] > 0) precisions[n] = 100.0 * matches.Right[n] / matches.Total[n];
                else if (smoothing == BleuSmoothing.Exponential)
                    precisions[n] = 100 / ((halving *= 2) * matches.Total[n]);
            }
        }
        double score = precisions.Any(precision => precision == 0) ? 0
            : penalty * Math.Exp(precisions.Average(Math.Log));
        return new Bleu(score, precisions, penalty, matches.HypothesisLength, matches.ReferenceLength, words.Name);
    }

    /// <summary>Measures texts like the E2E challenge (measure_scores.py of e2e-metrics): mteval-v13a's words in lower
    /// case, and a geometric mean in which orders without a match are almost zero.</summary>
    /// <param name="hypotheses">The texts.</param>
    /// <param name="references">For each text at least one reference.</param>
    /// <exception cref="ArgumentException">There are no texts, the numbers differ, or a text has no
    /// reference.</exception>
    public static Bleu ComputeE2E(IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references)
    {
        const double NoMatch = 1e-15, NoLength = 1e-9;
        // There, an empty text counts as one empty word.
        string[] Words(string text) => BleuTokenization.V13A.Split(text) is { Length: > 0 } words
            ? [.. words.Select(word => word.ToLowerInvariant())] : [""];
        NGramMatches matches = NGramMatches.Compute(hypotheses, references, Words, Orders);
        // A text of fewer words than the order counts negatively.
        double[] totals =
            [.. Enumerable.Range(0, Orders)
            .Select(n => (double)matches.HypothesisLength - (double)n * hypotheses.Count)];
        double[] precisions =
            [.. totals.Select((total, n) => Math.Max(matches.Right[n], NoMatch) / Math.Max(total, NoLength))];
        double penalty = matches.HypothesisLength > matches.ReferenceLength ? 1
            : Math.Exp(1 - (double)matches.ReferenceLength / matches.HypothesisLength);
        return new Bleu(
            100 * penalty * Math.Exp(precisions.Average(Math.Log)),
            [.. precisions.Select(share => 100 * share)], penalty,
            matches.HypothesisLength, matches.ReferenceLength, "e2e");
    }
}

/// <summary>The smoothing of n-gram orders without a match (Chen and Cherry 2014).</summary>
internal enum BleuSmoothing
{
    /// <summary>Half of the smallest share, a quarter for the next such order, and so on: the default of mteval and
    /// sacrebleu.</summary>
    Exponential,

    /// <summary>The score is 0.</summary>
    None,
}

/// <summary>How BLEU splits texts into words; a score is meaningless without its tokenisation.</summary>
internal sealed partial class BleuTokenization
{
    private readonly Func<string, string[]> split;

    private BleuTokenization(string name, Func<string, string[]> split) => (Name, this.split) = (name, split);

    /// <summary>That of mteval-v13a, sacrebleu's default: splits off Western punctuation, keeps numbers
    /// whole.</summary>
    public static BleuTokenization V13A { get; } = new("13a", line => Words(Apart(line)));

    /// <summary>Splits only at blanks.</summary>
    public static BleuTokenization None { get; } = new("none", Words);

    /// <summary>The name.</summary>
    public string Name { get; }

    /// <summary>The words of a text.</summary>
    public string[] Split(string text) => split(text.TrimEnd());

    private static string Apart(string line)
    {
        line = line.Replace("<skipped>", "", StringComparison.Ordinal).Replace("-\n", "", StringComparison.Ordinal)
            .Replace('\n', ' ')
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

/// <summary>Counts the n-grams of texts that also occur in their references, each at most as often as in the reference
/// that contains it most often.</summary>
/// <param name="Right">Number of matches of each order, from single words.</param>
/// <param name="Total">Number of n-grams in the texts of each order.</param>
/// <param name="HypothesisLength">Number of words in the texts.</param>
/// <param name="ReferenceLength">Number of words in each text's reference closest in length, the shorter of
/// two.</param>
internal sealed record NGramMatches(long[] Right, long[] Total, long HypothesisLength, long ReferenceLength)
{
    private const char Separator = '\u001f';

    public static NGramMatches Compute(
        IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references,
        Func<string, string[]> split, int orders)
    {
        Pairs.Check(references.Count, hypotheses.Count);
        int bare = references.ToList().FindIndex(texts => texts.Count == 0);
        if (bare >= 0)
            throw new ArgumentException(
                $"Text {bare + 1} has no reference, expected at least one.", nameof(references));
        var right = new long[orders];
        var total = new long[orders];
        long words = 0, nearest = 0;
        for (int i = 0; i < hypotheses.Count; i++)
        {
            string[] text = split(hypotheses[i]);
            string[][] wanted = [.. references[i].Select(split)];
            words += text.Length;
            nearest += wanted.Select(one => one.Length).OrderBy(length => Math.Abs(length - text.Length))
                .ThenBy(length => length).First();
            for (int n = 1; n <= orders; n++)
            {
                Dictionary<string, int>[] most = [.. wanted.Select(one => Count(one, n))];
                foreach ((string gram, int count) in Count(text, n))
                {
                    total[n - 1] += count;
                    right[n - 1] += Math.Min(count, most.Max(reference => reference.GetValueOrDefault(gram)));
                }
            }
        }
        return new NGramMatches(right, total, words, nearest);
    }

    /// <summary>How often each sequence of words occurs in a text.</summary>
    public static Dictionary<string, int> Count(string[] words, int order)
    {
        var counts = new Dictionary<string, int>();
        for (int i = 0; i + order <= words.Length; i++)
        {
            string gram = string.Join(Separator, words, i, order);
            counts[gram] = counts.GetValueOrDefault(gram) + 1;
        }
        return counts;
    }
}
