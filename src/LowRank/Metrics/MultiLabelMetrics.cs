namespace LowRank.Metrics;

/// <summary>How well any number of labels an item were predicted; as scikit-learn defines them, 0 where not defined.</summary>
/// <param name="SubsetAccuracy">Share of items whose labels are all right.</param>
/// <param name="MicroF1">F1 over all decisions together.</param>
/// <param name="MacroF1">Mean F1 of the labels.</param>
/// <param name="WeightedF1">Mean F1 weighted by how often each label holds.</param>
public sealed record MultiLabelMetrics(double SubsetAccuracy, double MicroF1, double MacroF1, double WeightedF1)
{
    /// <summary>Measures predictions.</summary>
    /// <param name="truth">For each item whether each label holds.</param>
    /// <param name="predicted">For each item whether each label was predicted.</param>
    /// <exception cref="ArgumentException">There are none, or not equally many.</exception>
    public static MultiLabelMetrics Of(IReadOnlyList<bool[]> truth, IReadOnlyList<bool[]> predicted)
    {
        Pairs.Check(truth.Count, predicted.Count);
        int labels = truth[0].Length;
        if (truth.Concat(predicted).Any(row => row.Length != labels)) throw new ArgumentException($"An item has not {labels} labels as the first one.", nameof(predicted));
        ClassScore Score(IEnumerable<int> columns)
        {
            long right = 0, guessed = 0, held = 0;
            foreach (int column in columns)
                for (int i = 0; i < truth.Count; i++)
                {
                    if (truth[i][column] && predicted[i][column]) right++;
                    if (predicted[i][column]) guessed++;
                    if (truth[i][column]) held++;
                }
            return ClassScore.Of(right, guessed, held);
        }
        ClassScore[] each = [.. Enumerable.Range(0, labels).Select(label => Score([label]))];
        double support = each.Sum(score => score.Support);
        return new MultiLabelMetrics(Enumerable.Range(0, truth.Count).Count(i => truth[i].SequenceEqual(predicted[i])) / (double)truth.Count,
            Score(Enumerable.Range(0, labels)).F1, each.Average(score => score.F1), support == 0 ? 0 : each.Sum(score => score.F1 * score.Support) / support);
    }
}
