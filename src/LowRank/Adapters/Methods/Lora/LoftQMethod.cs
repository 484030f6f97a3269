namespace LowRank.Adapters.Methods.Lora;

/// <summary>LoRA on a quantised base whose pairs begin as what quantising took from the weights.</summary>
public sealed class LoftQMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "loftq";

    /// <inheritdoc/>
    public string Title => "LoftQ";

    /// <inheritdoc/>
    public string Paper => "arXiv 2310.08659";

    /// <inheritdoc/>
    public string Summary => "LoRA on a quantised base whose pairs begin as what quantising took from the weights.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys => AdapterMethods.PairKeys;

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with { InitialWeights = InitialWeights.Method("loftq") };
}
