namespace LowRank.Adapters;

/// <summary>LoRA with the scale alpha / √rank, with which high ranks learn as fast as low ones.</summary>
internal sealed record RsLoraMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "rslora";

    /// <inheritdoc/>
    public string Title => "rsLoRA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2312.03732";

    /// <inheritdoc/>
    public string Summary => "LoRA with the scale alpha / √rank, with which high ranks learn as fast as low ones.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } =
        [.. AdapterMethods.PairKeys.Where(key => key != "use_rslora"), "lora_bias", "init_lora_weights"];

    /// <inheritdoc/>
    public AdapterConfig Configure(LoraConfig shared) =>
        shared with { UseRsLora = true };
}
