namespace LowRank.Metrics;

/// <summary>BLEU of a corpus with any number of references a text (Papineni et al. 2002), n-grams of 1 to 4 words.</summary>
/// <param name="Score">0 to 100.</param>
/// <param name="Precisions">Share of matching n-grams of each order, 0 to 100.</param>
/// <param name="BrevityPenalty">1, or less where the texts are shorter than the references.</param>
/// <param name="HypothesisLength">Words of all texts.</param>
/// <param name="ReferenceLength">Words of the references nearest in length.</param>
/// <param name="Tokenization">The tokenisation's name.</param>
public sealed record Bleu(double Score, IReadOnlyList<double> Precisions, double BrevityPenalty, long HypothesisLength, long ReferenceLength, string Tokenization)
{
    private const int Orders = 4;

    /// <summary>Measures texts as sacrebleu does (arXiv 1804.08771).</summary>
    /// <param name="hypotheses">The texts.</param>
    /// <param name="references">For each text at least one reference.</param>
    /// <param name="tokenization">How words are told apart; 13a by default.</param>
    /// <param name="smoothing">Of orders without a match; exponential by default.</param>
    /// <exception cref="ArgumentException">There are none, not equally many, or a text has no reference.</exception>
    public static Bleu Of(IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references,
        BleuTokenization? tokenization = null, BleuSmoothing smoothing = BleuSmoothing.Exponential)
    {
        BleuTokenization words = tokenization ?? BleuTokenization.V13A;
        NGramMatches matches = NGramMatches.Of(hypotheses, references, words.Split, Orders);
        double penalty = matches.HypothesisLength >= matches.ReferenceLength ? 1
            : matches.HypothesisLength == 0 ? 0 : Math.Exp(1 - (double)matches.ReferenceLength / matches.HypothesisLength);
        var precisions = new double[Orders];
        if (matches.Right.Any(right => right > 0))
        {
            double halving = 1;
            for (int n = 0; n < Orders && matches.Total[n] > 0; n++)
            {
                if (matches.Right[n] > 0) precisions[n] = 100.0 * matches.Right[n] / matches.Total[n];
                else if (smoothing == BleuSmoothing.Exponential) precisions[n] = 100 / ((halving *= 2) * matches.Total[n]);
            }
        }
        double score = precisions.Any(precision => precision == 0) ? 0 : penalty * Math.Exp(precisions.Average(Math.Log));
        return new Bleu(score, precisions, penalty, matches.HypothesisLength, matches.ReferenceLength, words.Name);
    }

    /// <summary>Measures texts as the E2E challenge does (measure_scores.py of e2e-metrics): mteval-v13a's words in lower case,
    /// the geometric mean with orders without a match all but zero.</summary>
    /// <param name="hypotheses">The texts.</param>
    /// <param name="references">For each text at least one reference.</param>
    /// <exception cref="ArgumentException">There are none, not equally many, or a text has no reference.</exception>
    public static Bleu OfE2E(IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references)
    {
        const double NoMatch = 1e-15, NoLength = 1e-9;
        // An empty text counts as one empty word there.
        string[] Words(string text) => BleuTokenization.V13A.Split(text) is { Length: > 0 } words ? [.. words.Select(word => word.ToLowerInvariant())] : [""];
        NGramMatches matches = NGramMatches.Of(hypotheses, references, Words, Orders);
        // A text of fewer words than the order counts negatively.
        double[] totals = [.. Enumerable.Range(0, Orders).Select(n => (double)matches.HypothesisLength - (double)n * hypotheses.Count)];
        double[] precisions = [.. totals.Select((total, n) => Math.Max(matches.Right[n], NoMatch) / Math.Max(total, NoLength))];
        double penalty = matches.HypothesisLength > matches.ReferenceLength ? 1 : Math.Exp(1 - (double)matches.ReferenceLength / matches.HypothesisLength);
        return new Bleu(100 * penalty * Math.Exp(precisions.Average(Math.Log)), [.. precisions.Select(share => 100 * share)], penalty,
            matches.HypothesisLength, matches.ReferenceLength, "e2e");
    }
}
