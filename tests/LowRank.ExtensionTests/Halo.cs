using LowRank.Adapters;
using LowRank.Adapters.Files;
using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ExtensionTests;

/// <summary>Settings of a type of adapter of another program, which adds a vector to a layer's output.</summary>
internal sealed record HaloConfig : AdapterConfig
{
    public override IAdapterType Type => HaloType.Instance;

    public double Glow { get; init; } = 0.5;
}

internal sealed class HaloType : IAdapterType
{
    public static HaloType Instance { get; } = new();

    public string PeftType => "HALO";

    public string Label => "halo";

    // A file of an older version that leaves the key out means another value than a new adapter begins with.
    public IReadOnlyList<ConfigKey> Keys { get; } =
    [
        .. PeftKeys.Targeted,
        ConfigKey.Number<HaloConfig>(
            "glow", 0.25, config => config.Glow, (config, value) => config with { Glow = value }),
    ];

    public AdapterConfig Create() => new HaloConfig();

    public IEnumerable<string> Problems(AdapterConfig config) =>
        ((HaloConfig)config).Glow >= 0 ? [] : ["glow: expected at least 0"];

    public IEnumerable<AdapterTensor> Tensors(
        AdapterConfig config, IReadOnlyList<AdapterTarget> targets, IReadOnlyList<ModuleInfo> modules) =>
        targets.Select(target => new AdapterTensor(
            target.Path, ".halo", [modules.First(module => module.Path == target.Path).OutputSize]));

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build) => [.. build.Targets.Select(target =>
    {
        AdaptableLayer layer = build.Layers[target.Path];
        double glow = ((HaloConfig)build.Config).Glow;
        return new AdaptedLayer(
            layer, new HaloLayer(build.LoadOrInitialize(target.Path, ".halo", () => full(layer.OutputSize, glow))));
    })];
}

internal sealed class HaloLayer(Tensor vector) : IAdapterLayer
{
    public double Weight { get; set; } = 1;

    public bool IsAdditive => true;

    public bool ChangesBias => true;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [KeyValuePair.Create(".halo", vector)];

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout) =>
        inner.Forward(input).add(vector, Weight);

    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias) =>
        (weight.clone(), bias?.add(vector, Weight)
            ?? throw new InputException("The layer has no bias to take a halo."));

    public void Dispose() => vector.Dispose();
}
