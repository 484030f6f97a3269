using LowRank.Adapters;
using LowRank.Adapters.Methods;

namespace LowRank.ExtensionTests;

/// <summary>A method of another program: LoRA of a rank that is always 3.</summary>
internal sealed class QuietMethod : IAdapterMethod
{
    public string Name => "quiet";

    public string Title => "Quiet";

    public string Paper => "none";

    public string Summary => "LoRA of rank 3, with half the changes.";

    public IReadOnlyList<string> Keys => AdapterMethods.TargetKeys;

    public IReadOnlyList<MethodOption> Options { get; } =
        [new("loudness", 0.5, "what changes are multiplied by") { Most = 1 }];

    public LoraConfig Configure(LoraConfig shared, MethodOptions options) =>
        shared with { Rank = 3, Alpha = 3 * options.Number("loudness") };
}
