namespace LowRank.Metrics;

/// <summary>How many n-grams of texts stand in their references too, each as often as in the reference that has it most.</summary>
/// <param name="Right">Matches of each order, from single words.</param>
/// <param name="Total">N-grams of the texts of each order.</param>
/// <param name="HypothesisLength">Words of the texts.</param>
/// <param name="ReferenceLength">Words of each text's reference nearest in length, the shorter of two.</param>
internal sealed record NGramMatches(long[] Right, long[] Total, long HypothesisLength, long ReferenceLength)
{
    private const char Separator = '\u001f';

    public static NGramMatches Of(IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string>> references, Func<string, string[]> split, int orders)
    {
        Pairs.Check(references.Count, hypotheses.Count);
        int bare = references.ToList().FindIndex(texts => texts.Count == 0);
        if (bare >= 0) throw new ArgumentException($"Text {bare + 1} has no reference, expected at least one.", nameof(references));
        var right = new long[orders];
        var total = new long[orders];
        long words = 0, nearest = 0;
        for (int i = 0; i < hypotheses.Count; i++)
        {
            string[] text = split(hypotheses[i]);
            string[][] wanted = [.. references[i].Select(split)];
            words += text.Length;
            nearest += wanted.Select(one => one.Length).OrderBy(length => Math.Abs(length - text.Length)).ThenBy(length => length).First();
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

    /// <summary>How often each run of words stands in a text.</summary>
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
