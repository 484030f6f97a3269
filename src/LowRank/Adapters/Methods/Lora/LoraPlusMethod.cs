namespace LowRank.Adapters.Methods.Lora;

/// <summary>LoRA with a higher learning rate for B than for A.</summary>
public sealed class LoraPlusMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "lora_plus";

    /// <inheritdoc/>
    public string Title => "LoRA+";

    /// <inheritdoc/>
    public string Paper => "arXiv 2402.12354";

    /// <inheritdoc/>
    public string Summary => "LoRA with a higher learning rate for B than for A.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.PairKeys, "lora_bias", "init_lora_weights"];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        new("ratio", 16.0, "learning rate of B over that of A") { Least = 1 },
        new("embedding_learning_rate", 1e-6, "learning rate of pairs on embeddings"),
    ];

    /// <inheritdoc/>
    public ITrainingRules Rules(Adapter adapter, MethodOptions options) => new LoraPlusRules(options.Number("ratio"), options.Number("embedding_learning_rate"));

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared;
}
