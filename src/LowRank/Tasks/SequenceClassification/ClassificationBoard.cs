using LowRank.Metrics;
using LowRank.Training;

namespace LowRank.Tasks.SequenceClassification;

/// <summary>Collects what texts were labelled and should have been.</summary>
internal sealed class ClassificationBoard(string problem, int labels) : IScoreBoard
{
    private readonly List<double[]> truth = [];
    private readonly List<float[]> scores = [];

    public void Add(IReadOnlyList<ClassifiedText> texts, float[] found)
    {
        truth.AddRange(texts.Select(text => text.Target!));
        scores.AddRange(found.Chunk(labels));
    }

    public IReadOnlyDictionary<string, double?> Metrics() => problem switch
    {
        Problems.Regression => Regression(),
        Problems.MultiLabel => Several(),
        _ => Single(),
    };

    private Dictionary<string, double?> Single()
    {
        ClassificationMetrics m = ClassificationMetrics.Of([.. truth.Select(one => (int)one[0])], [.. scores.Select(row => Array.IndexOf(row, row.Max()))], labels);
        return new() { ["accuracy"] = m.Accuracy, ["macro_f1"] = m.MacroF1, ["weighted_f1"] = m.WeightedF1, ["matthews"] = m.Matthews };
    }

    private Dictionary<string, double?> Several()
    {
        MultiLabelMetrics m = MultiLabelMetrics.Of([.. truth.Select(row => row.Select(value => value > 0.5).ToArray())], [.. scores.Select(row => row.Select(score => score > 0).ToArray())]);
        return new() { ["subset_accuracy"] = m.SubsetAccuracy, ["micro_f1"] = m.MicroF1, ["macro_f1"] = m.MacroF1, ["weighted_f1"] = m.WeightedF1 };
    }

    private Dictionary<string, double?> Regression()
    {
        RegressionMetrics m = RegressionMetrics.Of([.. truth.Select(one => one[0])], [.. scores.Select(row => (double)row[0])]);
        return new() { ["mean_squared_error"] = m.MeanSquaredError, ["mean_absolute_error"] = m.MeanAbsoluteError, ["pearson"] = m.Pearson, ["spearman"] = m.Spearman };
    }
}
