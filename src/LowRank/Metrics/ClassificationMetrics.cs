namespace LowRank.Metrics;

/// <summary>How well classes were predicted, one for each item; as scikit-learn defines them.</summary>
/// <param name="Accuracy">Share of items predicted right, 0 to 1.</param>
/// <param name="MacroF1">Mean F1 of the classes that occur in truth or prediction, 0 to 1.</param>
/// <param name="WeightedF1">Mean F1 weighted by how often each class is true, 0 to 1.</param>
/// <param name="Matthews">Matthews' correlation for any number of classes (R_K; Gorodkin 2004), -1 to 1; 0 where it is not defined.</param>
/// <param name="Classes">Each class by itself.</param>
public sealed record ClassificationMetrics(double Accuracy, double MacroF1, double WeightedF1, double Matthews, IReadOnlyList<ClassScore> Classes)
{
    /// <summary>Measures predictions.</summary>
    /// <param name="truth">The true classes, each from 0 to below <paramref name="classes"/>.</param>
    /// <param name="predicted">The predicted ones, as many.</param>
    /// <param name="classes">Number of classes.</param>
    /// <exception cref="ArgumentException">There are none, not equally many, or a class is out of range.</exception>
    public static ClassificationMetrics Of(IReadOnlyList<int> truth, IReadOnlyList<int> predicted, int classes)
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
        ClassScore[] scores = [.. Enumerable.Range(0, classes).Select(c => ClassScore.Of(right[c], guesses[c], trues[c]))];
        double n = truth.Count, correct = right.Sum();
        ClassScore[] present = [.. Enumerable.Range(0, classes).Where(c => trues[c] + guesses[c] > 0).Select(c => scores[c])];
        return new ClassificationMetrics(correct / n, present.Average(score => score.F1), scores.Sum(score => score.F1 * score.Support) / n,
            RK(correct, n, trues, guesses), scores);
    }

    private static double RK(double correct, double n, long[] trues, long[] guesses)
    {
        double both = trues.Zip(guesses).Sum(pair => (double)pair.First * pair.Second);
        double trueSpread = n * n - trues.Sum(count => (double)count * count), guessSpread = n * n - guesses.Sum(count => (double)count * count);
        return trueSpread * guessSpread == 0 ? 0 : (correct * n - both) / Math.Sqrt(trueSpread * guessSpread);
    }
}
