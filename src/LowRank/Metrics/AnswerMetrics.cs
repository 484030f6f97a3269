using System.Text.RegularExpressions;

namespace LowRank.Metrics;

/// <summary>Metrics of answers to questions, as in SQuAD's evaluation script (arXiv 1606.05250, 1806.03822): lower
/// case, without punctuation and the articles a, an, the.</summary>
/// <param name="ExactMatch">Share of answers that equal one of the data's, 0 to 1 (the script gives
/// percentages).</param>
/// <param name="F1">Mean over answers of the best word F1, 0 to 1.</param>
internal sealed partial record AnswerMetrics(double ExactMatch, double F1)
{
    /// <summary>Measures answers.</summary>
    /// <param name="predicted">The predicted answers; empty for no answer.</param>
    /// <param name="truth">The correct answers of each question; none if the text does not answer it.</param>
    /// <exception cref="ArgumentException">There are no items, or the numbers differ.</exception>
    public static AnswerMetrics Compute(IReadOnlyList<string> predicted, IReadOnlyList<IReadOnlyList<string>> truth)
    {
        Pairs.Check(truth.Count, predicted.Count);
        double exact = 0, shared = 0;
        for (int i = 0; i < truth.Count; i++)
        {
            IReadOnlyList<string> right = [.. truth[i].Where(answer => Normalize(answer).Length > 0)];
            if (right.Count == 0) right = [""];
            exact += right.Max(answer => Normalize(answer) == Normalize(predicted[i]) ? 1 : 0);
            shared += right.Max(answer => WordF1(answer, predicted[i]));
        }
        return new AnswerMetrics(exact / truth.Count, shared / truth.Count);
    }

    /// <summary>Normalises an answer as SQuAD does.</summary>
    public static string Normalize(string answer)
    {
        string plain =
            string.Concat(
                answer.ToLowerInvariant()
                .Where(c => !(c < 128 && char.IsAscii(c) && (char.IsPunctuation(c) || char.IsSymbol(c)))));
        return string.Join(
            ' ', Articles().Replace(plain, " ").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
    }

    private static double WordF1(string truth, string predicted)
    {
        string[] right = Normalize(truth).Split(' ', StringSplitOptions.RemoveEmptyEntries),
            found = Normalize(predicted).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (right.Length == 0 || found.Length == 0) return right.Length == found.Length ? 1 : 0;
        Dictionary<string, int> left = right.GroupBy(word => word)
            .ToDictionary(group => group.Key, group => group.Count());
        int same = found.Count(word => left.TryGetValue(word, out int count) && left[word]-- > 0 && count > 0);
        return 2.0 * same / (right.Length + found.Length);
    }

    [GeneratedRegex(@"\b(a|an|the)\b")]
    private static partial Regex Articles();
}
