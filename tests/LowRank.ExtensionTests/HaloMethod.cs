using LowRank.Adapters;

namespace LowRank.ExtensionTests;

/// <summary>A method of another program, which makes adapters of its own type and knows their record.</summary>
internal sealed record HaloMethod : IAdapterMethod
{
    public string Name => "halo";

    public string Title => "Halo";

    public string Paper => "none";

    public string Summary => "Adds a trained vector to a layer's output.";

    public IReadOnlyList<string> Keys => AdapterMethods.TargetKeys;

    public IReadOnlyList<MethodOption> Options { get; } =
    [
        MethodOption.Create<HaloMethod, double>(
            "glow", method => method.Glow, (method, value) => method with { Glow = value },
            "what the vectors begin with"),
    ];

    public double Glow { get; init; } = new HaloConfig().Glow;

    public AdapterConfig Configure(LoraConfig shared) => new HaloConfig { Glow = Glow }.WithModulesOf(shared);

    public IAdapterMethod? For(AdapterConfig config) => config is HaloConfig own ? this with { Glow = own.Glow } : null;
}
