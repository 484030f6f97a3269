using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.IO.Onnx;

/// <summary>A graph of ONNX's operators as it is built: each call adds a node and gives the name of its
/// value.</summary>
/// <remarks>Numbers of fields are those of onnx.proto.</remarks>
internal sealed class OnnxGraph
{
    private const int FloatAttribute = 1, IntAttribute = 2, TextAttribute = 3, IntsAttribute = 7;
    private readonly Dictionary<string, OnnxWeight> weights = [];
    private readonly Dictionary<string, string> made = [];
    private int count;

    /// <summary>The graph's nodes, inputs and outputs, as fields of a GraphProto.</summary>
    public ProtoMessage Fields { get; } = new();

    /// <summary>The graph's tensors.</summary>
    public IReadOnlyCollection<OnnxWeight> Weights => weights.Values;

    /// <summary>Adds a node with one output.</summary>
    /// <param name="type">The operator.</param>
    /// <param name="inputs">The names of its inputs; empty for one that is left out.</param>
    /// <param name="attributes">Its attributes: a long, a float, a text or several longs each.</param>
    /// <returns>The name of its output.</returns>
    public string Node(string type, IEnumerable<string> inputs, params (string Name, object Value)[] attributes) =>
        Nodes(type, inputs, 1, attributes)[0];

    /// <summary>Adds a node with several outputs.</summary>
    /// <inheritdoc cref="Node"/>
    public string[] Nodes(
        string type, IEnumerable<string> inputs, int outputs, params (string Name, object Value)[] attributes)
    {
        string name = Name(type);
        string[] values = [.. Enumerable.Range(0, outputs).Select(i => outputs == 1 ? name : $"{name}_{i}")];
        Add(type, name, inputs, values, attributes);
        return values;
    }

    /// <summary>Adds a node whose value later calls with the same key share.</summary>
    public string Once(string key, Func<string> make) =>
        made.TryGetValue(key, out string? known) ? known : made[key] = make();

    /// <summary>Declares an input.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">Its type.</param>
    /// <param name="shape">Its shape: numbers, and names of sizes that calls choose.</param>
    public string Input(string name, ScalarType type, params object[] shape)
    {
        Fields.Add(11, Value(name, type, shape));
        return name;
    }

    /// <summary>Declares a value as an output under a name.</summary>
    /// <inheritdoc cref="Input"/>
    public void Output(string name, string value, params object[] shape)
    {
        Add("Identity", Name("Identity"), [value], [name], []);
        Fields.Add(12, Value(name, ScalarType.Float32, shape));
    }

    /// <summary>Adds a tensor, which is read when the file is written.</summary>
    /// <param name="name">Its name; a tensor of this name is added once.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="read">Gives it in float32, in the caller's dispose scope.</param>
    public string Weight(string name, long[] shape, Func<Tensor> read)
    {
        weights.TryAdd(name, new OnnxWeight(name, ScalarType.Float32, shape, read));
        return name;
    }

    /// <summary>A constant of whole numbers, [numbers].</summary>
    public string Longs(params long[] values) => Constant(
        "int64_" + string.Join('_', values), ScalarType.Int64, [values.Length], () => tensor(values));

    /// <summary>A constant whole number without dimensions.</summary>
    public string Long(long value) => Constant(
        $"int64_scalar_{value}", ScalarType.Int64, [], () => tensor(value));

    /// <summary>A constant number without dimensions.</summary>
    public string Float(double value) => Constant(
        string.Create(CultureInfo.InvariantCulture, $"float_{value:r}"), ScalarType.Float32, [],
        () => tensor((float)value));

    /// <summary>An activation by its name in transformers.</summary>
    public string Activation(string name, string x) => name switch
    {
        "gelu" => Node("Gelu", [x]),
        "gelu_new" or "gelu_pytorch_tanh" or "gelu_fast" => Node("Gelu", [x], ("approximate", "tanh")),
        "relu" => Node("Relu", [x]),
        "silu" or "swish" => Node("Mul", [x, Node("Sigmoid", [x])]),
        "tanh" => Node("Tanh", [x]),
        "sigmoid" => Node("Sigmoid", [x]),
        "identity" => x,
        _ => throw new InputException($"The activation \"{name}\" is not written to ONNX files."),
    };

    private string Constant(string name, ScalarType type, long[] shape, Func<Tensor> read)
    {
        weights.TryAdd(name, new OnnxWeight(name, type, shape, read));
        return name;
    }

    private string Name(string type) => string.Create(CultureInfo.InvariantCulture, $"{type}_{count++}");

    private void Add(
        string type, string name, IEnumerable<string> inputs, IEnumerable<string> outputs,
        (string Name, object Value)[] attributes)
    {
        var node = new ProtoMessage();
        foreach (string input in inputs) node.Add(1, input);
        foreach (string output in outputs) node.Add(2, output);
        node.Add(3, name).Add(4, type);
        foreach ((string key, object value) in attributes) node.Add(5, Attribute(key, value));
        Fields.Add(1, node);
    }

    private static ProtoMessage Attribute(string name, object value)
    {
        ProtoMessage attribute = new ProtoMessage().Add(1, name);
        switch (value)
        {
            case float number: return attribute.Add(2, number).Add(20, FloatAttribute);
            case string text: return attribute.Add(4, text).Add(20, TextAttribute);
            case long[] numbers:
                foreach (long number in numbers) attribute.Add(8, number);
                return attribute.Add(20, IntsAttribute);
            default:
                return attribute.Add(3, Convert.ToInt64(value, CultureInfo.InvariantCulture)).Add(20, IntAttribute);
        }
    }

    private static ProtoMessage Value(string name, ScalarType type, object[] shape)
    {
        var dimensions = new ProtoMessage();
        foreach (object size in shape)
            dimensions.Add(1, size is string text ? new ProtoMessage().Add(2, text)
                : new ProtoMessage().Add(1, Convert.ToInt64(size, CultureInfo.InvariantCulture)));
        return new ProtoMessage().Add(1, name).Add(
            2, new ProtoMessage().Add(1, new ProtoMessage().Add(1, OnnxType.Of(type)).Add(2, dimensions)));
    }
}

/// <summary>A tensor of a graph.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its type.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Read">Gives it, in the caller's dispose scope.</param>
internal sealed record OnnxWeight(string Name, ScalarType Type, long[] Shape, Func<Tensor> Read)
{
    /// <summary>Its size in bytes.</summary>
    public long Bytes => Shape.Aggregate((long)Type.ElementSize(), (product, size) => product * size);
}

/// <summary>ONNX's numbers of types (TensorProto.DataType), which ONNX Runtime's adapters use too.</summary>
internal static class OnnxType
{
    /// <summary>Numbers of types, as the operator Cast takes them.</summary>
    public const long Float = 1, Long = 7, Boolean = 9;

    /// <summary>The number of a type.</summary>
    public static int Of(ScalarType type) => type switch
    {
        ScalarType.Float32 => 1,
        ScalarType.Int64 => 7,
        ScalarType.Float16 => 10,
        ScalarType.BFloat16 => 16,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "No tensor of this type is written."),
    };
}
