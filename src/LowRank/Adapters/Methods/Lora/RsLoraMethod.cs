namespace LowRank.Adapters.Methods.Lora;

/// <summary>LoRA with the scale alpha / √rank, which keeps the pace of high ranks.</summary>
public sealed class RsLoraMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "rslora";

    /// <inheritdoc/>
    public string Title => "rsLoRA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2312.03732";

    /// <inheritdoc/>
    public string Summary => "LoRA with the scale alpha / √rank, which keeps the pace of high ranks.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.PairKeys.Where(key => key != "use_rslora"), "lora_bias", "init_lora_weights"];

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with { UseRankStabilizedScale = true };
}
