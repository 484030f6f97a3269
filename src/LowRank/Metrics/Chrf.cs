
namespace LowRank.Metrics;

/// <summary>chrF and chrF++ (Popović 2015, 2017): F2 of character n-grams of 1 to 6, ignoring blanks, and for chrF++
/// also of word n-grams of 1 and 2; as in sacrebleu.</summary>
internal static class Chrf
{
    private const int CharacterOrders = 6;
    private const double Weight = 4; // beta squared: recall counts twice as much
    private const string Punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

    /// <summary>The score of a corpus, 0 to 100; with several references, the best one counts for each text.</summary>
    /// <param name="hypotheses">The texts.</param>
    /// <param name="references">For each text at least one reference.</param>
    /// <param name="wordOrders">0 for chrF, 2 for chrF++.</param>
    /// <exception cref="ArgumentException">There are no texts, the numbers differ, or a text has no
    /// reference.</exception>
    public static double Compute(
        IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references, int wordOrders = 0)
    {
        Pairs.Check(references.Count, hypotheses.Count);
        var sums = new (long Found, long Wanted, long Right)[CharacterOrders + wordOrders];
        for (int i = 0; i < hypotheses.Count; i++)
        {
            if (references[i].Count == 0)
                throw new ArgumentException(
                    $"Text {i + 1} has no reference, expected at least one.", nameof(references));
            List<Dictionary<string, int>> text = Grams(hypotheses[i], wordOrders);
            (long Found, long Wanted, long Right)[] best = references[i]
                .Select(reference => Matches(text, Grams(reference, wordOrders))).MaxBy(Score)!;
            for (int n = 0; n < sums.Length; n++)
                sums[n] = (sums[n].Found + best[n].Found, sums[n].Wanted + best[n].Wanted,
                    sums[n].Right + best[n].Right);
        }
        return Score(sums);
    }

    private static (long Found, long Wanted, long Right)[] Matches(
        List<Dictionary<string, int>> text, List<Dictionary<string, int>> reference) =>
        [.. text.Zip(reference, (found, wanted) =>
            (wanted.Count == 0 ? 0L : found.Values.Sum(count => (long)count), wanted.Values.Sum(count => (long)count),
            found.Sum(gram => (long)Math.Min(gram.Value, wanted.GetValueOrDefault(gram.Key)))))];

    private static double Score((long Found, long Wanted, long Right)[] orders)
    {
        (long Found, long Wanted, long Right)[] counted =
            [.. orders.Where(order => order.Found > 0 && order.Wanted > 0)];
        if (counted.Length == 0) return 0;
        double precision = counted.Average(order => (double)order.Right / order.Found),
            recall = counted.Average(order => (double)order.Right / order.Wanted);
        return precision + recall == 0 ? 0 : 100 * (1 + Weight) * precision * recall / (Weight * precision + recall);
    }

    private static List<Dictionary<string, int>> Grams(string text, int wordOrders)
    {
        // Characters are code points, as in Python.
        string[] characters =
            [.. string.Concat(text.Where(c => !char.IsWhiteSpace(c))).EnumerateRunes().Select(rune => rune.ToString())];
        List<Dictionary<string, int>> grams =
            [.. Enumerable.Range(1, CharacterOrders).Select(n => NGramMatches.Count(characters, n))];
        if (wordOrders == 0) return grams;
        string[] words = [.. text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).SelectMany(Apart)];
        grams.AddRange(Enumerable.Range(1, wordOrders).Select(n => NGramMatches.Count(words, n)));
        return grams;
    }

    // Splits one punctuation mark off a word: the last one, or otherwise the first.
    private static string[] Apart(string word) => word.EnumerateRunes().Count() == 1 ? [word]
        : Punctuation.Contains(word[^1]) ? [word[..^1], word[^1..]]
        : Punctuation.Contains(word[0]) ? [word[..1], word[1..]] : [word];
}
