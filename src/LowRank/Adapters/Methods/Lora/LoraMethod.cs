namespace LowRank.Adapters.Methods.Lora;

/// <summary>A low-rank pair beside each frozen weight: y = Wx + s·B(Ax).</summary>
public sealed class LoraMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "lora";

    /// <inheritdoc/>
    public string Title => "LoRA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2106.09685";

    /// <inheritdoc/>
    public string Summary => "A low-rank pair beside each frozen weight: y = Wx + s·B(Ax).";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.PairKeys, "lora_bias", "init_lora_weights"];

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared;
}
