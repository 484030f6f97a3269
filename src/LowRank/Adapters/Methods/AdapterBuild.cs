using LowRank.Adapters.Files;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>What an adapter is built from: a file's tensors, or first values drawn anew.</summary>
/// <param name="config">The config.</param>
/// <param name="targets">The adapted modules.</param>
/// <param name="network">The model.</param>
/// <param name="read">A tensor of the file by its key; null for a new adapter.</param>
/// <param name="has">Whether the file has a tensor.</param>
/// <param name="random">The source of first values.</param>
internal sealed class AdapterBuild(LoraConfig config, IReadOnlyList<LoraTarget> targets, INetwork network,
    Func<string, Tensor>? read, Func<string, bool> has, Generator random)
{
    /// <summary>The config.</summary>
    public LoraConfig Config { get; private set; } = config;

    /// <summary>The adapted modules.</summary>
    public IReadOnlyList<LoraTarget> Targets { get; private set; } = targets;

    /// <summary>The base's folder.</summary>
    public required string ModelFolder { get; init; }

    /// <summary>Data for starts that look at it; null where there is none.</summary>
    public ICalibration? Calibration { get; init; }

    /// <summary>The model.</summary>
    public INetwork Network => network;

    /// <summary>Its layers by path.</summary>
    public IReadOnlyDictionary<string, AdapterSite> Sites { get; } = AdapterSite.Of(network);

    /// <summary>Whether the adapter is new: its tensors are drawn, not read.</summary>
    public bool IsNew => read is null;

    /// <summary>The source of first values.</summary>
    public Generator Random => random;

    /// <summary>The data, for a start that cannot do without.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public ICalibration RequireCalibration() => Calibration ?? throw new InputException(
        $"init_lora_weights \"{Config.InitialWeights.Text}\" looks at data before training, and none was given. Use it in a recipe, or pass a calibration.");

    /// <summary>Changes ranks and what the config says of them, as a start does that finds them from data.</summary>
    public void Revise(LoraConfig config, IReadOnlyList<LoraTarget> targets) => (Config, Targets) = (config, targets);

    /// <summary>Whether the file has a tensor of a module.</summary>
    public bool Has(string path, string ending) => has(PeftTensorKeys.Prefix + path + ending);

    /// <summary>A tensor of a module: the file's, or drawn.</summary>
    /// <param name="path">The module.</param>
    /// <param name="ending">What follows it in the key.</param>
    /// <param name="draw">First values.</param>
    public Tensor Take(string path, string ending, Func<Tensor> draw) => TakeKey(PeftTensorKeys.Prefix + path + ending, draw);

    /// <summary>A tensor by its whole key: the file's, or drawn.</summary>
    /// <returns>In float32 on the model's device, outside every dispose scope.</returns>
    public Tensor TakeKey(string key, Func<Tensor> draw) => Own(read is null || !has(key) ? draw() : read(key));

    /// <summary>A copy in float32 on the model's device, outside every dispose scope.</summary>
    public Tensor Own(Tensor tensor) => tensor.detach().to(ScalarType.Float32).to(network.Device).clone().DetachFromDisposeScope();

    /// <summary>Uniform values as PyTorch's kaiming_uniform_(a=√5) draws them: within ±1/√columns.</summary>
    public Tensor Kaiming(int rows, int columns)
    {
        double bound = 1 / Math.Sqrt(columns);
        return empty(rows, columns).uniform_(-bound, bound, random);
    }
}
