using LowRank.IO;
using LowRank.IO.Onnx;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Onnx;

/// <summary>The layers of a model as nodes of a graph, with given weights.</summary>
/// <param name="graph">The graph.</param>
/// <param name="network">The model.</param>
/// <param name="weights">Its weights by checkpoint name, each read when the file is written.</param>
internal sealed class OnnxLayers(
    OnnxGraph graph, INetwork network, IReadOnlyDictionary<string, LazyWeight> weights)
{
    /// <summary>A weight as it is, in float32.</summary>
    public string Weight(string name)
    {
        LazyWeight weight = Find(name);
        return graph.Weight(name, weight.Shape, () => weight.Read().to(ScalarType.Float32));
    }

    /// <summary>The rows of a table that numbers ask for.</summary>
    public string Rows(string table, string numbers) => graph.Node("Gather", [Weight(table + ".weight"), numbers]);

    /// <summary>The first row of a table, [1, width].</summary>
    public string FirstRow(string table)
    {
        LazyWeight weight = Find(table + ".weight");
        return graph.Weight(
            table + ".row", [1, weight.Shape[1]], () => weight.Read().narrow(0, 0, 1).to(ScalarType.Float32));
    }

    /// <summary>Wx + b: […, in] to […, out].</summary>
    public string Linear(string x, Linear layer)
    {
        string product = graph.Node("MatMul", [x, Matrix(layer)]);
        return Bias(layer) is { } bias ? graph.Node("Add", [product, Weight(bias)]) : product;
    }

    /// <summary>Layer normalisation over the last axis, with a bias if the model has it.</summary>
    public string Norm(string x, string path, double epsilon)
    {
        string bias = path + ".bias";
        IEnumerable<string> inputs = [x, Weight(path + ".weight")];
        return graph.Node("LayerNormalization", network.Parameters.ContainsKey(bias) ? inputs.Append(Weight(bias))
            : inputs, ("axis", -1L), ("epsilon", (float)epsilon));
    }

    // ONNX multiplies x by [in, out]. A head without a weight of its own shares the embedding's.
    private string Matrix(Linear layer)
    {
        string name = layer.Path + ".weight";
        if (layer.SharesWeight && !weights.ContainsKey(name))
            return graph.Node("Transpose", [Weight(network.TokenEmbedding.Path + ".weight")], ("perm", (long[])[1, 0]));
        LazyWeight weight = Find(name);
        return graph.Weight(
            name, [weight.Shape[1], weight.Shape[0]], () => weight.Read().to(ScalarType.Float32).t().contiguous());
    }

    // A masked language model's head may read a bias with a name other than its own.
    private string? Bias(Linear layer)
    {
        if (layer.Bias is not { } bias) return null;
        string name = layer.Path + ".bias";
        return network.Parameters.ContainsKey(name) ? name
            : network.Parameters.First(weight => ReferenceEquals(weight.Value, bias)).Key;
    }

    private LazyWeight Find(string name) =>
        weights.TryGetValue(name, out LazyWeight? own) ? own : weights[network.StoredName(name)];
}
