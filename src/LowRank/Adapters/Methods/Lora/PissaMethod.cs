namespace LowRank.Adapters.Methods.Lora;

/// <summary>LoRA whose pairs begin as the largest singular directions of the weights.</summary>
public sealed class PissaMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "pissa";

    /// <inheritdoc/>
    public string Title => "PiSSA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2404.02948";

    /// <inheritdoc/>
    public string Summary => "LoRA whose pairs begin as the largest singular directions of the weights.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys => AdapterMethods.PairKeys;

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
        [new("iterations", 0, "subspace iterations of a randomised decomposition, faster for large weights; 0 decomposes exactly") { Most = 64 }];

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        InitialWeights = InitialWeights.Method(options.Whole("iterations") is > 0 and var count ? $"pissa_niter_{count}" : "pissa"),
    };
}
