namespace LowRank.Adapters;

/// <summary>LoRA with a higher learning rate for B than for A.</summary>
public sealed record LoraPlusMethod : IAdapterMethod
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
        MethodOption.Create<LoraPlusMethod, double>(
            "ratio", method => method.Ratio, (method, value) => method with { Ratio = value },
            "learning rate of B divided by that of A") with { Least = 1 },
        MethodOption.Create<LoraPlusMethod, double>(
            "embedding_learning_rate", method => method.EmbeddingLearningRate,
            (method, value) => method with { EmbeddingLearningRate = value }, "learning rate of pairs on embeddings"),
    ];

    /// <summary>The ratio of B's learning rate to A's; 16, at least 1.</summary>
    public double Ratio { get; init; } = 16;

    /// <summary>The learning rate of pairs on embeddings; 1e-6.</summary>
    public double EmbeddingLearningRate { get; init; } = 1e-6;

    ITrainingHooks IAdapterMethod.Hooks(Adapter adapter) =>
        new LoraPlusHooks(Ratio, EmbeddingLearningRate);

    /// <inheritdoc/>
    public AdapterConfig Configure(LoraConfig shared) => shared;
}

/// <summary>LoRA+ (arXiv 2402.12354, section 4): B learns at a multiple of A's rate. As in PEFT, every vector (a bias,
/// a magnitude) is treated like B, and pairs on embeddings have their own rate.</summary>
/// <param name="ratio">The ratio of B's rate to A's.</param>
/// <param name="embeddingRate">The rate of pairs on embeddings.</param>
internal sealed class LoraPlusHooks(double ratio, double embeddingRate) : ITrainingHooks
{
    private double embeddingFactor = 1;

    public bool ReadsGradients => false;

    public void Start(long totalSteps, double learningRate) => embeddingFactor = embeddingRate / learningRate;

    public double RateFactor(string key) => key.Contains(".lora_embedding_") ? embeddingFactor
        : key.EndsWith(".lora_B.weight", StringComparison.Ordinal) || key.EndsWith(".bias", StringComparison.Ordinal)
        || key.EndsWith(".lora_magnitude_vector", StringComparison.Ordinal) ? ratio : 1;

    public void BeforeUpdate()
    {
        // Rates differ; gradients do not.
    }

    public void AfterUpdate(long step)
    {
        // As in BeforeUpdate.
    }

    public void Dispose()
    {
        // No state.
    }
}
