using LowRank.Data;
using LowRank.Metrics;
using LowRank.Training;

namespace LowRank.Tasks.TokenClassification;

/// <summary>Collects what tokens were labelled and should have been. Tags of entities (B-, I-, O) are counted by entity,
/// others by token.</summary>
internal sealed class TagBoard(IReadOnlyList<string> labels) : IScoreBoard
{
    private readonly List<int[]> truth = [];
    private readonly List<int[]> predicted = [];

    public void Add(IReadOnlyList<TaggedText> texts, long[] found, int length)
    {
        for (int row = 0; row < texts.Count; row++)
        {
            int[] counted = [.. Enumerable.Range(0, texts[row].Labels.Length).Where(i => texts[row].Labels[i] != TokenizedExample.Ignored)];
            truth.Add([.. counted.Select(i => texts[row].Labels[i])]);
            predicted.Add([.. counted.Select(i => (int)found[row * length + i])]);
        }
    }

    public IReadOnlyDictionary<string, double?> Metrics()
    {
        ClassificationMetrics tokens = ClassificationMetrics.Of([.. truth.SelectMany(row => row)], [.. predicted.SelectMany(row => row)], labels.Count);
        var metrics = new Dictionary<string, double?> { ["accuracy"] = tokens.Accuracy };
        if (labels.Contains("O") && labels.All(label => label == "O" || (label.Length > 2 && label[1] == '-')))
        {
            string[][] Names(List<int[]> rows) => [.. rows.Select(row => row.Select(label => labels[label]).ToArray())];
            EntityMetrics entities = EntityMetrics.Of(Names(truth), Names(predicted));
            metrics["precision"] = entities.Precision;
            metrics["recall"] = entities.Recall;
            metrics["f1"] = entities.F1;
            return metrics;
        }
        metrics["macro_f1"] = tokens.MacroF1;
        metrics["weighted_f1"] = tokens.WeightedF1;
        return metrics;
    }
}
