using LowRank.IO.Onnx;
using LowRank.Models.Sentences;

namespace LowRank.Models.Onnx;

/// <summary>Makes one state per text of the states of its tokens, as <see cref="Pooled"/> and
/// <see cref="SentencePipeline"/> do.</summary>
/// <param name="graph">The graph.</param>
/// <param name="states">[batch, sequence, hidden]</param>
/// <param name="mask">1 for tokens and 0 for padding, [batch, sequence].</param>
/// <param name="indices">0, 1, 2, …, [sequence].</param>
internal sealed class OnnxPooling(OnnxGraph graph, string states, string mask, string indices)
{
    private const double Least = 1e-9; // a text without a token that counts gives zeros

    /// <summary>The state that a family's classifiers use, [batch, hidden].</summary>
    public string OfClassifier(Pooling pooling) =>
        pooling == Pooling.First ? graph.Node("Gather", [states, graph.Long(0)], ("axis", 1L)) : Of(pooling);

    /// <summary>A sentence's vector, [batch, width].</summary>
    public string OfSentence(SentencePipeline pipeline)
    {
        string[] parts = [.. pipeline.Modes.Select(Of)];
        string vectors = parts.Length == 1 ? parts[0] : graph.Node("Concat", parts, ("axis", -1L));
        return pipeline.Layers.Aggregate(vectors, (vector, layer) => layer.AddTo(graph, vector));
    }

    private string Of(Pooling pooling)
    {
        string counts = graph.Once("counts", () => Column(graph.Node("Cast", [mask], ("to", OnnxType.Float))));
        switch (pooling)
        {
            case Pooling.First:
                return At(mask);
            case Pooling.Last:
                return At(graph.Node("Mul", [indices, mask]));
            case Pooling.Max:
                string isToken = Column(graph.Node("Cast", [mask], ("to", OnnxType.Boolean)));
                return graph.Node("ReduceMax",
                    [graph.Node("Where", [isToken, states, graph.Float(float.NegativeInfinity)]), graph.Longs(1)],
                    ("keepdims", 0L));
            case Pooling.WeightedMean:
                string places = graph.Node("Add",
                    [graph.Node("Cast", [indices], ("to", OnnxType.Float)), graph.Float(1)]);
                return Mean(graph.Node("Mul", [graph.Node("Unsqueeze", [places, graph.Longs(1)]), counts]), false);
            default:
                return Mean(counts, pooling == Pooling.MeanOfRoot);
        }
    }

    // The sum of the states, each with its weight, over the sum of the weights or its root.
    private string Mean(string weights, bool ofRoot)
    {
        string total = graph.Node("Max", [Sum(weights), graph.Float(Least)]);
        return graph.Node(
            "Div", [Sum(graph.Node("Mul", [states, weights])), ofRoot ? graph.Node("Sqrt", [total]) : total]);
    }

    // The states at the first of the largest numbers of each row.
    private string At(string numbers)
    {
        string chosen = graph.Node("ArgMax", [numbers], ("axis", 1L)); // [batch, 1]
        string only = graph.Node("Cast", [graph.Node("Equal", [indices, chosen])], ("to", OnnxType.Float));
        return Sum(graph.Node("Mul", [states, Column(only)]));
    }

    private string Column(string rows) => graph.Node("Unsqueeze", [rows, graph.Longs(-1)]);

    private string Sum(string values) => graph.Node("ReduceSum", [values, graph.Longs(1)], ("keepdims", 0L));
}
