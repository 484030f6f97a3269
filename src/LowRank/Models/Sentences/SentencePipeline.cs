using System.Text.Json.Nodes;
using LowRank.IO;
using LowRank.IO.Onnx;
using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Sentences;

/// <summary>How a text is prepared and how its states become a vector: the settings of a sentence-transformers folder
/// apart from the model.</summary>
/// <param name="Width">The width of a state.</param>
/// <param name="Modes">The pooling modes; the vectors of several are concatenated.</param>
/// <param name="Layers">The modules applied to the result, in this order.</param>
internal sealed record SentencePipeline(int Width, IReadOnlyList<Pooling> Modes, IReadOnlyList<ISentenceLayer> Layers)
{
    /// <summary>Whether a prompt's tokens take part in pooling.</summary>
    public bool IncludesPrompt { get; init; } = true;

    /// <summary>The longest text in tokens; null for the model's limit.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Whether texts are lower-cased, independently of the tokenizer.</summary>
    public bool LowersCase { get; init; }

    /// <summary>Prompts that can precede a text, by name, such as query.</summary>
    public IReadOnlyDictionary<string, string> Prompts { get; init; } = new Dictionary<string, string>();

    /// <summary>The name of the prompt before every text; null for none.</summary>
    public string? DefaultPrompt { get; init; }

    /// <summary>How vectors are compared: cosine, dot, euclidean or manhattan; null if the folder does not
    /// say.</summary>
    public string? Similarity { get; init; }

    /// <summary>The width of a vector.</summary>
    public int OutputWidth => Layers.Aggregate(Width * Modes.Count, (width, layer) => layer.OutputWidth ?? width);

    /// <summary>The pipeline of a model without one: one state, normalised to length 1.</summary>
    public static SentencePipeline Plain(int width, Pooling mode) =>
        new(width, [mode], [new NormalizeLayer()]) { Similarity = "cosine" };

    /// <summary>Computes the vectors of texts.</summary>
    /// <param name="states">[batch, sequence, hidden]</param>
    /// <param name="mask">1 for tokens and 0 for padding, [batch, sequence]; null without padding.</param>
    /// <param name="promptTokens">Number of prompt tokens at the start of each text.</param>
    /// <returns>[batch, width]</returns>
    public Tensor Apply(Tensor states, Tensor? mask, int promptTokens = 0)
    {
        if (!IncludesPrompt && promptTokens > 0)
        {
            Tensor behind = (Indices(0, states.shape[1], device: states.device) >= Number(promptTokens)).to(
                ScalarType.Int64).unsqueeze(0);
            mask = (mask ?? ones_like(behind).expand(states.shape[0], states.shape[1])) * behind;
        }
        Tensor vectors =
            cat([.. Modes.Select(
                mode => mode == Pooling.First ? First(states, mask) : Pooled.Of(states, mask, mode))], -1);
        return Layers.Aggregate(vectors, (vector, layer) => layer.Forward(vector));
    }

    // The first token that counts: after padding on the left, and after a prompt that does not take part in pooling.
    private static Tensor First(Tensor states, Tensor? mask)
    {
        if (mask is null) return states.select(1, 0);
        Tensor first = (mask != Number(0)).to(ScalarType.Int64).argmax(1).view(-1, 1, 1).expand(-1, 1, states.shape[2]);
        return states.gather(1, first).squeeze(1);
    }
}

/// <summary>A sentence-transformers module after the pooling. Its weights are frozen.</summary>
internal interface ISentenceLayer
{
    /// <summary>The module's class, without its namespace.</summary>
    string Name { get; }

    /// <summary>The width of its vectors; null for that of the vectors that it takes.</summary>
    int? OutputWidth => null;

    /// <summary>[batch, in] to [batch, out].</summary>
    Tensor Forward(Tensor vectors);

    /// <summary>Adds the same to a graph.</summary>
    string AddTo(OnnxGraph graph, string vectors);

    /// <summary>Writes the module's files into its folder.</summary>
    void Save(string folder);
}

/// <summary>Normalises vectors to length 1.</summary>
internal sealed record NormalizeLayer : ISentenceLayer
{
    private const double Least = 1e-12; // a vector of zeros stays one

    /// <inheritdoc/>
    public string Name => "Normalize";

    /// <inheritdoc/>
    public Tensor Forward(Tensor vectors) => nn.functional.normalize(vectors, 2, -1, Least);

    /// <inheritdoc/>
    public string AddTo(OnnxGraph graph, string vectors) => graph.Node("Div",
        [vectors, graph.Node("Max", [graph.Node("ReduceL2", [vectors, graph.Longs(-1)]), graph.Float(Least)])]);

    /// <inheritdoc/>
    public void Save(string folder)
    {
        // The module has neither settings nor weights.
    }
}

/// <summary>A linear layer and an activation: f(x·Wᵀ + b), plus x or x·Rᵀ if it has a residual.</summary>
/// <param name="weight">W, [out, in], row by row.</param>
/// <param name="bias">b, [out]; null for none.</param>
/// <param name="residual">R, [out, in]; empty to add x itself; null for none.</param>
/// <param name="activation">The Python name of f, one of <see cref="Activations"/>.</param>
/// <param name="inputs">The width of x.</param>
internal sealed class DenseLayer(float[] weight, float[]? bias, float[]? residual, string activation, int inputs)
    : ISentenceLayer
{
    private static readonly Dictionary<string, Func<Tensor, Tensor>> Functions = new()
    {
        ["Tanh"] = tanh,
        ["Identity"] = x => x,
        ["ReLU"] = x => nn.functional.relu(x),
        ["GELU"] = x => nn.functional.gelu(x),
        ["Sigmoid"] = sigmoid,
        ["SiLU"] = x => nn.functional.silu(x),
    };

    private readonly Func<Tensor, Tensor> function = Functions[activation[(activation.LastIndexOf('.') + 1)..]];

    /// <summary>Names of the functions, as torch.nn's classes spell them.</summary>
    public static IReadOnlyCollection<string> Activations => Functions.Keys;

    /// <inheritdoc/>
    public string Name => "Dense";

    /// <inheritdoc/>
    public int? OutputWidth => Outputs;

    private int Outputs => weight.Length / inputs;

    /// <inheritdoc/>
    public Tensor Forward(Tensor vectors)
    {
        Tensor Matrix(float[] values) => tensor(values, Outputs, inputs, device: vectors.device);
        Tensor linear = vectors.matmul(Matrix(weight).t());
        if (bias is not null) linear = linear.Plus(tensor(bias, device: vectors.device));
        Tensor made = function(linear);
        return residual is null ? made
            : made.Plus(residual.Length == 0 ? vectors : vectors.matmul(Matrix(residual).t()));
    }

    /// <inheritdoc/>
    public string AddTo(OnnxGraph graph, string vectors)
    {
        string Product(float[] values) => graph.Node("MatMul", [vectors, graph.Weight(
            $"dense_{vectors}_{(ReferenceEquals(values, weight) ? "weight" : "residual")}", [inputs, Outputs],
            () => tensor(values, Outputs, inputs).t().contiguous())]);
        string linear = Product(weight);
        if (bias is not null)
            linear = graph.Node(
                "Add", [linear, graph.Weight($"dense_{vectors}_bias", [Outputs], () => tensor(bias))]);
        string made = graph.Activation(
            activation[(activation.LastIndexOf('.') + 1)..].ToLowerInvariant(), linear);
        return residual is null ? made
            : graph.Node("Add", [made, residual.Length == 0 ? vectors : Product(residual)]);
    }

    /// <inheritdoc/>
    public void Save(string folder)
    {
        using var scope = NewDisposeScope();
        var config = new JsonObject { ["in_features"] = inputs, ["out_features"] = Outputs, ["bias"] = bias is not null,
            ["activation_function"] = activation };
        if (residual is not null) config["use_residual"] = true;
        SentenceFolder.Write(Path.Combine(folder, "config.json"), config);
        var weights = new List<KeyValuePair<string, Tensor>> { KeyValuePair.Create(
            "linear.weight", tensor(weight, Outputs, inputs)) };
        if (bias is not null) weights.Add(KeyValuePair.Create("linear.bias", tensor(bias)));
        if (residual is { Length: > 0 })
            weights.Add(KeyValuePair.Create("residual.weight", tensor(residual, Outputs, inputs)));
        SafeTensorsWriter.Write(Path.Combine(folder, Checkpoint.SingleFileName), weights);
    }
}

/// <summary>Normalises each vector to mean 0 and variance 1, then scales and shifts it (arXiv 1607.06450).</summary>
/// <param name="weight">The scale.</param>
/// <param name="bias">The shift.</param>
internal sealed class SentenceLayerNorm(float[] weight, float[] bias) : ISentenceLayer
{
    private const double Epsilon = 1e-5;

    /// <inheritdoc/>
    public string Name => "LayerNorm";

    /// <inheritdoc/>
    public Tensor Forward(Tensor vectors) =>
        nn.functional.layer_norm(
            vectors, [weight.Length], tensor(weight, device: vectors.device),
            tensor(bias, device: vectors.device), Epsilon);

    /// <inheritdoc/>
    public string AddTo(OnnxGraph graph, string vectors) => graph.Node("LayerNormalization",
        [vectors, graph.Weight($"norm_{vectors}_weight", [weight.Length], () => tensor(weight)),
            graph.Weight($"norm_{vectors}_bias", [weight.Length], () => tensor(bias))],
        ("axis", -1L), ("epsilon", (float)Epsilon));

    /// <inheritdoc/>
    public void Save(string folder)
    {
        using var scope = NewDisposeScope();
        SentenceFolder.Write(Path.Combine(folder, "config.json"), new JsonObject { ["dimension"] = weight.Length });
        SafeTensorsWriter.Write(Path.Combine(folder, Checkpoint.SingleFileName),
            [KeyValuePair.Create("norm.weight", tensor(weight)), KeyValuePair.Create("norm.bias", tensor(bias))]);
    }
}
