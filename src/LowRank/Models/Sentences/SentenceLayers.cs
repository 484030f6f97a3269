using System.Text.Json.Nodes;
using LowRank.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Sentences;

/// <summary>A module of sentence-transformers behind the pooling. Its weights are frozen.</summary>
public interface ISentenceLayer
{
    /// <summary>The module's class, without its namespace.</summary>
    string Name { get; }

    /// <summary>[batch, in] to [batch, out].</summary>
    Tensor Forward(Tensor vectors);

    /// <summary>Writes the module's files into its folder.</summary>
    void Save(string folder);
}

/// <summary>Makes vectors of length 1.</summary>
public sealed record NormalizeLayer : ISentenceLayer
{
    /// <inheritdoc/>
    public string Name => "Normalize";

    /// <inheritdoc/>
    public Tensor Forward(Tensor vectors) => nn.functional.normalize(vectors, 2, -1, 1e-12);

    /// <inheritdoc/>
    public void Save(string folder)
    {
        // The module has neither settings nor weights.
    }
}

/// <summary>A linear layer and an activation: f(x·Wᵀ + b), with x or x·Rᵀ added where it has a residual.</summary>
/// <param name="weight">W, [out, in] row by row.</param>
/// <param name="bias">b, [out]; null for none.</param>
/// <param name="residual">R, [out, in]; empty where x itself is added; null for none.</param>
/// <param name="activation">Python's name of f, one of <see cref="Activations"/>.</param>
/// <param name="inputs">Width of x.</param>
public sealed class DenseLayer(float[] weight, float[]? bias, float[]? residual, string activation, int inputs) : ISentenceLayer
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

    /// <summary>Names of the functions, as torch.nn's classes have them.</summary>
    public static IReadOnlyCollection<string> Activations => Functions.Keys;

    /// <inheritdoc/>
    public string Name => "Dense";

    private int Outputs => weight.Length / inputs;

    /// <inheritdoc/>
    public Tensor Forward(Tensor vectors)
    {
        Tensor Matrix(float[] values) => tensor(values, Outputs, inputs, device: vectors.device);
        Tensor linear = vectors.matmul(Matrix(weight).t());
        if (bias is not null) linear += tensor(bias, device: vectors.device);
        Tensor made = function(linear);
        return residual is null ? made : made + (residual.Length == 0 ? vectors : vectors.matmul(Matrix(residual).t()));
    }

    /// <inheritdoc/>
    public void Save(string folder)
    {
        using var scope = NewDisposeScope();
        var config = new JsonObject { ["in_features"] = inputs, ["out_features"] = Outputs, ["bias"] = bias is not null, ["activation_function"] = activation };
        if (residual is not null) config["use_residual"] = true;
        SentenceFolder.Write(Path.Combine(folder, "config.json"), config);
        var weights = new List<KeyValuePair<string, Tensor>> { KeyValuePair.Create("linear.weight", tensor(weight, Outputs, inputs)) };
        if (bias is not null) weights.Add(KeyValuePair.Create("linear.bias", tensor(bias)));
        if (residual is { Length: > 0 }) weights.Add(KeyValuePair.Create("residual.weight", tensor(residual, Outputs, inputs)));
        SafeTensorsWriter.Write(Path.Combine(folder, Checkpoint.SingleFileName), weights);
    }
}

/// <summary>Normalises each vector to mean 0 and variance 1, then scales and shifts it (arXiv 1607.06450).</summary>
/// <param name="weight">The scale.</param>
/// <param name="bias">The shift.</param>
public sealed class SentenceLayerNorm(float[] weight, float[] bias) : ISentenceLayer
{
    /// <inheritdoc/>
    public string Name => "LayerNorm";

    /// <inheritdoc/>
    public Tensor Forward(Tensor vectors) =>
        nn.functional.layer_norm(vectors, [weight.Length], tensor(weight, device: vectors.device), tensor(bias, device: vectors.device), 1e-5);

    /// <inheritdoc/>
    public void Save(string folder)
    {
        using var scope = NewDisposeScope();
        SentenceFolder.Write(Path.Combine(folder, "config.json"), new JsonObject { ["dimension"] = weight.Length });
        SafeTensorsWriter.Write(Path.Combine(folder, Checkpoint.SingleFileName),
            [KeyValuePair.Create("norm.weight", tensor(weight)), KeyValuePair.Create("norm.bias", tensor(bias))]);
    }
}
