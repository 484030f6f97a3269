using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Activation functions by their names in transformers (ACT2FN).</summary>
internal static class Activation
{
    private static readonly Dictionary<string, ActivationFunction> Functions = new()
    {
        ["silu"] = ActivationFunction.Silu,
        ["swish"] = ActivationFunction.Silu,
        ["relu"] = ActivationFunction.Relu,
        ["gelu"] = ActivationFunction.Gelu,
        ["gelu_new"] = ActivationFunction.TanhGelu,
        ["gelu_pytorch_tanh"] = ActivationFunction.TanhGelu,
        ["gelu_fast"] = ActivationFunction.TanhGelu,
    };

    /// <summary>The supported names.</summary>
    public static IReadOnlyCollection<string> Names => Functions.Keys;

    /// <summary>The activation name under a config key, validated.</summary>
    public static string Read(ConfigReader config, string key, string otherwise)
    {
        string name = config.TextOr(key, otherwise);
        if (!Functions.ContainsKey(name)) config.Reject(key, $"\"{name}\"", string.Join(", ", Names));
        return name;
    }

    /// <summary>The function with a name.</summary>
    /// <exception cref="InputException">The name is unknown; families reject it earlier, with its key.</exception>
    public static Func<Tensor, Tensor> Get(string name) => Find(name).Apply;

    /// <summary>The function with a name, which can also act as a gate.</summary>
    /// <exception cref="InputException">The name is unknown; families reject it earlier, with its key.</exception>
    internal static ActivationFunction Find(string name) =>
        Functions.TryGetValue(name, out ActivationFunction? function)
        ? function
        : throw new InputException(
            $"The activation \"{name}\" is not supported; supported: {string.Join(", ", Names)}.");
}
