namespace LowRank.Adapters.Methods.Lora;

/// <summary>LoRA whose pairs begin as the first columns and rows of the weights' QR factors.</summary>
public sealed class OloraMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "olora";

    /// <inheritdoc/>
    public string Title => "OLoRA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2406.01775";

    /// <inheritdoc/>
    public string Summary => "LoRA whose pairs begin as the first columns and rows of the weights' QR factors.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys => AdapterMethods.PairKeys;

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with { InitialWeights = InitialWeights.Method("olora") };
}
