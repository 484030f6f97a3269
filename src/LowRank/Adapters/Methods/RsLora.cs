namespace LowRank.Adapters;

/// <summary>LoRA with the scale alpha / √rank, with which high ranks learn as fast as low ones.</summary>
internal sealed record RsLoraMethod : IAdapterMethod
{
    public string Name => "rslora";

    public string Title => "rsLoRA";

    public string Paper => "arXiv 2312.03732";

    public string Summary => "LoRA with the scale alpha / √rank, with which high ranks learn as fast as low ones.";

    public IReadOnlyList<string> Keys { get; } =
        [.. AdapterMethods.PairKeys.Where(key => key != "use_rslora"), "lora_bias", "init_lora_weights"];

    public AdapterConfig Configure(LoraConfig shared) =>
        shared with { UseRsLora = true };
}
