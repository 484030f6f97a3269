using LowRank.Metrics;
using LowRank.Training;

namespace LowRank.Tasks;

/// <summary>Collects the scores of windows and chooses each question's answer from all its windows.</summary>
internal sealed class AnswerAccumulator(int maxAnswerTokens) : IMetricAccumulator
{
    private const int Candidates = 20; // best starts and ends to combine, as in SQuAD's scripts

    private readonly OrderedDictionary<AskedQuestion, FoundAnswer?> best = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<AskedQuestion, FoundAnswer> none = new(ReferenceEqualityComparer.Instance);

    public void Add(IReadOnlyList<AnswerWindow> windows, float[][] starts, float[][] ends)
    {
        for (int i = 0; i < windows.Count; i++)
        {
            AnswerWindow window = windows[i];
            best.TryAdd(window.Question, null);
            (float[] start, float[] end) = (starts[i][..window.Length], ends[i][..window.Length]);
            double normalStart = LogSum(start), normalEnd = LogSum(end);
            double Chance(int from, int to) => Math.Exp(start[from] - normalStart + end[to] - normalEnd);
            // The score for "no answer" is the lowest of all windows.
            var empty = new FoundAnswer(window.Question, "", 0, 0, start[0] + end[0], Chance(0, 0));
            if (!none.TryGetValue(window.Question, out FoundAnswer? least) || empty.Score < least.Score)
                none[window.Question] = empty;
            foreach (int from in Top(start, window))
                foreach (int to in Top(end, window).Where(to => to >= from && to < from + maxAnswerTokens))
                {
                    double score = start[from] + end[to];
                    if (best[window.Question] is { } known && known.Score >= score) continue;
                    best[window.Question] = Answer(window, from, to, score, Chance(from, to));
                }
        }
    }

    /// <summary>The answers, in the order of the questions.</summary>
    public IEnumerable<FoundAnswer> Answers() =>
        best.Select(entry => entry.Value is { } found && (!AnyEmpty || found.Score >= none[entry.Key].Score) ? found
        : none[entry.Key]);

    public IReadOnlyDictionary<string, double?> Metrics()
    {
        FoundAnswer[] answers = [.. Answers().Where(answer => answer.Question.Context.Length > 0)];
        if (answers.Length == 0) return new Dictionary<string, double?>();
        AnswerMetrics metrics =
            AnswerMetrics.Compute(
                [.. answers.Select(answer => answer.Text)], [.. answers.Select(answer => answer.Question.Answers)]);
        return new Dictionary<string, double?> { ["exact_match"] = metrics.ExactMatch, ["f1"] = metrics.F1 };
    }

    // If every question in the data has an answer (SQuAD 1.1), "no answer" is never chosen.
    private bool AnyEmpty => best.Keys.Any(question => question.Answers.Count == 0);

    private static FoundAnswer Answer(AnswerWindow window, int from, int to, double score, double chance)
    {
        if (window.Spans is null) return new FoundAnswer(window.Question, "", from, to + 1, score, chance);
        (int start, int end) = (window.Spans[from]!.Value.Start, window.Spans[to]!.Value.End);
        return new FoundAnswer(window.Question, window.Question.Context[start..end], start, end, score, chance);
    }

    private static IEnumerable<int> Top(float[] scores, AnswerWindow window) => Enumerable.Range(0, scores.Length)
        .Where(i => window.Spans is null ? i > 0 : window.Spans[i] is { } span && span.End > span.Start)
        .OrderByDescending(i => scores[i]).Take(Candidates);

    private static double LogSum(float[] scores)
    {
        double largest = scores.Max();
        return largest + Math.Log(scores.Sum(score => Math.Exp(score - largest)));
    }
}

/// <summary>The answer that a model finds.</summary>
/// <param name="Question">The row.</param>
/// <param name="Text">The text; empty for no answer.</param>
/// <param name="Start">The start in the context, in UTF-16 units; in tokens for tokenised rows.</param>
/// <param name="End">The exclusive end.</param>
/// <param name="Score">Sum of the two scores.</param>
/// <param name="Probability">The product of the two positions' probabilities in their window.</param>
internal sealed record FoundAnswer(
    AskedQuestion Question, string Text, int Start, int End, double Score, double Probability);
