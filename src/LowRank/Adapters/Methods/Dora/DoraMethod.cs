namespace LowRank.Adapters.Methods.Dora;

/// <summary>LoRA on the direction of each weight, with a trained magnitude for each output.</summary>
public sealed class DoraMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "dora";

    /// <inheritdoc/>
    public string Title => "DoRA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2402.09353";

    /// <inheritdoc/>
    public string Summary => "LoRA on the direction of each weight, with a trained magnitude for each output.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.PairKeys, "init_lora_weights"];

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with { UseDora = true };
}
