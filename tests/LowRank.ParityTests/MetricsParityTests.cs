using System.Text.Json.Nodes;
using LowRank.Metrics;

namespace LowRank.ParityTests;

/// <summary>Metrics against sacrebleu, seqeval, scikit-learn, scipy and e2e-metrics
/// (Reference/make_metrics.py).</summary>
public sealed class MetricsParityTests
{
    private const double Tolerance = 1e-9;

    private static JsonArray Cases(string kind) =>
        JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "metrics.json")))![
            kind]!.AsArray();

    [Fact]
    public void Generated_texts()
    {
        foreach (JsonNode? one in Cases("generation"))
        {
            string[] texts = Texts(one!["hypotheses"]!);
            string[][] references = [.. one["references"]!.AsArray().Select(list => Texts(list!))];
            foreach (BleuTokenization words in new[] { BleuTokenization.V13A, BleuTokenization.None })
                foreach (
                    (BleuSmoothing smoothing, string name) in new[] { (BleuSmoothing.Exponential, "exp"),
                    (BleuSmoothing.None, "none") })
                {
                    JsonNode expected = one[$"bleu_{words.Name}_{name}"]!;
                    Bleu made = Bleu.Compute(texts, references, words, smoothing);
                    Near(expected["score"]!, made.Score);
                    Near(expected["bp"]!, made.BrevityPenalty);
                    Assert.Equal(expected["sys_len"]!.GetValue<long>(), made.HypothesisLength);
                    Assert.Equal(expected["ref_len"]!.GetValue<long>(), made.ReferenceLength);
                    for (int n = 0; n < 4; n++) Near(expected["precisions"]![n]!, made.Precisions[n]);
                }
            Near(one["bleu_e2e"]!, Bleu.ComputeE2E(texts, references).Score);
            Near(one["chrf"]!, Chrf.Compute(texts, references));
            Near(one["chrf++"]!, Chrf.Compute(texts, references, wordOrders: 2));
        }
    }

    [Fact]
    public void Classes()
    {
        foreach (JsonNode? one in Cases("classification"))
        {
            ClassificationMetrics made = ClassificationMetrics.Compute(
                Numbers(one!["truth"]!), Numbers(one["predicted"]!), one["classes"]!.GetValue<int>());
            Near(one["accuracy"]!, made.Accuracy);
            Near(one["macro_f1"]!, made.MacroF1);
            Near(one["weighted_f1"]!, made.WeightedF1);
            Near(one["matthews"]!, made.Matthews);
        }
        foreach (JsonNode? one in Cases("multi_label"))
        {
            static bool[][] Rows(JsonNode node) =>
                [.. node.AsArray().Select(row => Numbers(row!).Select(value => value == 1).ToArray())];
            MultiLabelMetrics made = MultiLabelMetrics.Compute(Rows(one!["truth"]!), Rows(one["predicted"]!));
            Near(one["subset_accuracy"]!, made.SubsetAccuracy);
            Near(one["micro_f1"]!, made.MicroF1);
            Near(one["macro_f1"]!, made.MacroF1);
            Near(one["weighted_f1"]!, made.WeightedF1);
        }
    }

    [Fact]
    public void Numbers_and_entities()
    {
        foreach (JsonNode? one in Cases("regression"))
        {
            static double[] Values(JsonNode node) => [.. node.AsArray().Select(value => value!.GetValue<double>())];
            RegressionMetrics made = RegressionMetrics.Compute(Values(one!["truth"]!), Values(one["predicted"]!));
            Near(one["mse"]!, made.MeanSquaredError);
            Near(one["mae"]!, made.MeanAbsoluteError);
            Near(one["pearson"]!, made.Pearson!.Value);
            Near(one["spearman"]!, made.Spearman!.Value);
        }
        foreach (JsonNode? one in Cases("entities"))
        {
            string[][] Rows(string key) => [.. one![key]!.AsArray().Select(row => Texts(row!))];
            EntityMetrics made = EntityMetrics.Compute(Rows("truth"), Rows("predicted"));
            Near(one!["precision"]!, made.Precision);
            Near(one["recall"]!, made.Recall);
            Near(one["f1"]!, made.F1);
        }
    }

    [Fact]
    public void Answers_as_SQuADs_script_counts_them()
    {
        // exact match over normalised texts; F1 of the best reference
        AnswerMetrics made =
            AnswerMetrics.Compute(
                ["the Eiffel-Tower!", "in Paris, France", "", "Rome"],
                [["Eiffel-Tower", "a tower"], ["Paris"], [], []]);
        Assert.Equal((1 + 0 + 1 + 0) / 4.0, made.ExactMatch, Tolerance);
        Assert.Equal((1 + 2 * (1 / 3.0) * 1 / (1 / 3.0 + 1) + 1 + 0) / 4, made.F1, Tolerance);
        Assert.Equal("eiffeltower", AnswerMetrics.Normalize(" The  Eiffel-Tower! "));
    }

    [Fact]
    public void RougeL_as_rouge_score_computes_it()
    {
        // rouge_score's README: target 'The quick brown fox jumps over the lazy dog', prediction 'The quick brown dog
        // jumps on the log.'
        Assert.Equal(100 * 2 * (5 / 8.0) * (5 / 9.0) / (5 / 8.0 + 5 / 9.0),
            Rouge.L(["The quick brown dog jumps on the log."], [["The quick brown fox jumps over the lazy dog"]]),
                Tolerance);
        Assert.Equal(100, Rouge.L(["a b"], [["c", "A, b!"]]), Tolerance);
        Assert.Equal(0, Rouge.L([""], [["x"]]), Tolerance);
    }

    [Fact]
    public void Lists_that_do_not_fit_are_refused()
    {
        Assert.Throws<ArgumentException>(() => Bleu.Compute([], []));
        Assert.Throws<ArgumentException>(() => Bleu.Compute(["a"], [[]]));
        Assert.Throws<ArgumentException>(() => Chrf.Compute(["a"], [[], []]));
        Assert.Throws<ArgumentException>(() => Rouge.L(["a"], [[]]));
        Assert.Throws<ArgumentException>(() => ClassificationMetrics.Compute([0, 3], [0, 1], 2));
        Assert.Null(RegressionMetrics.Compute([1, 1], [1, 2]).Pearson);
    }

    private static string[] Texts(JsonNode list) => [.. list.AsArray().Select(text => text!.GetValue<string>())];

    private static int[] Numbers(JsonNode list) => [.. list.AsArray().Select(number => number!.GetValue<int>())];

    private static void Near(JsonNode expected, double found) =>
        Assert.Equal(expected.GetValue<double>(), found, Tolerance);
}
