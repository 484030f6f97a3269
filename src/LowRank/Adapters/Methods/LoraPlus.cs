namespace LowRank.Adapters.Methods;

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
        new("ratio", 16.0, "learning rate of B divided by that of A") { Least = 1 },
        new("embedding_learning_rate", 1e-6, "learning rate of pairs on embeddings"),
    ];

    /// <inheritdoc/>
    public ITrainingHooks Rules(Adapter adapter, MethodOptions options) =>
        new LoraPlusHooks(options.Number("ratio"), options.Number("embedding_learning_rate"));

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared;
}

/// <summary>LoRA+ (arXiv 2402.12354, section 4): B learns at a multiple of A's rate. As PEFT has it, every vector (a
/// bias, a magnitude) goes with B, and pairs on embeddings have a rate of their own.</summary>
/// <param name="ratio">B's rate over A's.</param>
/// <param name="embeddingRate">The rate of pairs on embeddings.</param>
public sealed class LoraPlusHooks(double ratio, double embeddingRate) : ITrainingHooks
{
    private double embeddingFactor = 1;

    /// <inheritdoc/>
    public bool ReadsGradients => false;

    /// <inheritdoc/>
    public void Start(long totalSteps, double learningRate) => embeddingFactor = embeddingRate / learningRate;

    /// <inheritdoc/>
    public double RateFactor(string key) => key.Contains(".lora_embedding_") ? embeddingFactor
        : key.EndsWith(".lora_B.weight", StringComparison.Ordinal) || key.EndsWith(".bias", StringComparison.Ordinal)
        || key.EndsWith(".lora_magnitude_vector", StringComparison.Ordinal) ? ratio : 1;

    /// <inheritdoc/>
    public void BeforeUpdate()
    {
        // Rates differ, gradients do not.
    }

    /// <inheritdoc/>
    public void AfterUpdate(long step)
    {
        // As BeforeUpdate.
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Nothing is held.
    }
}
