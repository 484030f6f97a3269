using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Activation functions by the names transformers gives them (ACT2FN).</summary>
public static class Activation
{
    private static readonly Dictionary<string, Func<Tensor, Tensor>> Functions = new()
    {
        ["silu"] = x => nn.functional.silu(x),
        ["swish"] = x => nn.functional.silu(x),
        ["relu"] = x => nn.functional.relu(x),
        ["gelu"] = x => nn.functional.gelu(x),
        ["gelu_new"] = x => nn.functional.gelu(x, GELU.Approximate.tanh),
        ["gelu_pytorch_tanh"] = x => nn.functional.gelu(x, GELU.Approximate.tanh),
        ["gelu_fast"] = x => nn.functional.gelu(x, GELU.Approximate.tanh),
    };

    /// <summary>The names that can be used.</summary>
    public static IReadOnlyCollection<string> Names => Functions.Keys;

    /// <summary>The name under a config's key, checked.</summary>
    public static string Read(ConfigReader config, string key, string otherwise)
    {
        string name = config.TextOr(key, otherwise);
        if (!Functions.ContainsKey(name)) config.Reject(key, $"\"{name}\"", string.Join(", ", Names));
        return name;
    }

    /// <summary>The function of a name.</summary>
    /// <exception cref="InputException">The name is not known; families reject it before, with its key.</exception>
    public static Func<Tensor, Tensor> Get(string name) => Functions.TryGetValue(name, out Func<Tensor, Tensor>? function)
        ? function
        : throw new InputException($"The activation \"{name}\" is not supported; supported: {string.Join(", ", Names)}.");
}
