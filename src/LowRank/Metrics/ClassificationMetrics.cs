namespace LowRank.Metrics;

/// <summary>Metrics of predicted classes, one per item, as in scikit-learn.</summary>
/// <param name="Accuracy">Share of correctly predicted items, 0 to 1.</param>
/// <param name="MacroF1">Mean F1 of the classes that occur in truth or prediction, 0 to 1.</param>
/// <param name="WeightedF1">Mean F1 weighted by how often each class is true, 0 to 1.</param>
/// <param name="Matthews">Matthews' correlation for any number of classes (R_K; Gorodkin 2004), -1 to 1; 0 if
/// undefined.</param>
/// <param name="Classes">The metrics of each class.</param>
internal sealed record ClassificationMetrics(
    double Accuracy, double MacroF1, double WeightedF1, double Matthews, IReadOnlyList<ClassScore> Classes)
{
    /// <summary>Measures predictions.</summary>
    /// <param name="truth">The true classes, each from 0 to below <paramref name="classes"/>.</param>
    /// <param name="predicted">The predicted classes, equally many.</param>
    /// <param name="classes">Number of classes.</param>
    /// <exception cref="ArgumentException">There are no items, the numbers differ, or a class is out of
    /// range.</exception>
    public static ClassificationMetrics Compute(IReadOnlyList<int> truth, IReadOnlyList<int> predicted, int classes)
    {
        Pairs.Check(truth.Count, predicted.Count);
        if (truth.Concat(predicted).Any(label => label < 0 || label >= classes))
            throw new ArgumentException($"A class is outside 0 to {classes - 1}.", nameof(predicted));
        var right = new long[classes];
        var trues = new long[classes];
        var guesses = new long[classes];
        for (int i = 0; i < truth.Count; i++)
        {
            trues[truth[i]]++;
            guesses[predicted[i]]++;
            if (truth[i] == predicted[i]) right[truth[i]]++;
        }
        ClassScore[] scores =
            [.. Enumerable.Range(0, classes).Select(c => ClassScore.From(right[c], guesses[c], trues[c]))];
        double n = truth.Count, correct = right.Sum();
        ClassScore[] present =
            [.. Enumerable.Range(0, classes).Where(c => trues[c] + guesses[c] > 0).Select(c => scores[c])];
        return new ClassificationMetrics(
            correct / n, present.Average(score => score.F1), scores.Sum(score => score.F1 * score.Support) / n,
            RK(correct, n, trues, guesses), scores);
    }

    private static double RK(double correct, double n, long[] trues, long[] guesses)
    {
        double both = trues.Zip(guesses).Sum(pair => (double)pair.First * pair.Second);
        double trueSpread = n * n - trues.Sum(count => (double)count * count),
            guessSpread = n * n - guesses.Sum(count => (double)count * count);
        return trueSpread * guessSpread == 0 ? 0 : (correct * n - both) / Math.Sqrt(trueSpread * guessSpread);
    }
}

/// <summary>The metrics of one class; 0 if a share is undefined.</summary>
/// <param name="Precision">Share of its predictions that are correct.</param>
/// <param name="Recall">Share of its true items that were found.</param>
/// <param name="F1">The harmonic mean of precision and recall.</param>
/// <param name="Support">Number of its true items.</param>
internal sealed record ClassScore(double Precision, double Recall, double F1, long Support)
{
    internal static ClassScore From(long right, long predicted, long truth)
    {
        double precision = predicted == 0 ? 0 : (double)right / predicted, recall = truth == 0 ? 0
            : (double)right / truth;
        return new ClassScore(precision, recall, predicted + truth == 0 ? 0 : 2.0 * right / (predicted + truth), truth);
    }
}

/// <summary>Metrics for any number of predicted labels per item, as in scikit-learn; 0 if undefined.</summary>
/// <param name="SubsetAccuracy">Share of items whose labels are all correct.</param>
/// <param name="MicroF1">F1 over all decisions together.</param>
/// <param name="MacroF1">Mean F1 of the labels.</param>
/// <param name="WeightedF1">Mean F1 weighted by how often each label applies.</param>
internal sealed record MultiLabelMetrics(double SubsetAccuracy, double MicroF1, double MacroF1, double WeightedF1)
{
    /// <summary>Measures predictions.</summary>
    /// <param name="truth">For each item, whether each label applies.</param>
    /// <param name="predicted">For each item, whether each label was predicted.</param>
    /// <exception cref="ArgumentException">There are no items, or the numbers differ.</exception>
    public static MultiLabelMetrics Compute(IReadOnlyList<bool[]> truth, IReadOnlyList<bool[]> predicted)
    {
        Pairs.Check(truth.Count, predicted.Count);
        int labels = truth[0].Length;
        if (truth.Concat(predicted).Any(row => row.Length != labels))
            throw new ArgumentException($"An item does not have {labels} labels like the first one.",
                nameof(predicted));
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
            return ClassScore.From(right, guessed, held);
        }
        ClassScore[] each = [.. Enumerable.Range(0, labels).Select(label => Score([label]))];
        double support = each.Sum(score => score.Support);
        return new MultiLabelMetrics(
            Enumerable.Range(0, truth.Count).Count(i => truth[i].SequenceEqual(predicted[i])) / (double)truth.Count,
            Score(Enumerable.Range(0, labels)).F1, each.Average(score => score.F1), support == 0 ? 0
            : each.Sum(score => score.F1 * score.Support) / support);
    }
}

/// <summary>Checks the arguments of every comparison of two lists.</summary>
internal static class Pairs
{
    public static void Check(int truth, int predicted)
    {
        if (truth != predicted)
            throw new ArgumentException(
                $"There are {truth} true and {predicted} predicted items, expected as many of each.",
                nameof(predicted));
        if (truth == 0)
            throw new ArgumentException("There is nothing to measure; expected at least one item.", nameof(truth));
    }
}
