namespace LowRank.Adapters.Methods.Lora;

/// <summary>LoRA+ (arXiv 2402.12354, section 4): B learns at a multiple of A's rate. As PEFT has it, every vector (a bias, a
/// magnitude) goes with B, and pairs on embeddings have a rate of their own.</summary>
/// <param name="ratio">B's rate over A's.</param>
/// <param name="embeddingRate">The rate of pairs on embeddings.</param>
public sealed class LoraPlusRules(double ratio, double embeddingRate) : ITrainingRules
{
    private double embeddingFactor = 1;

    /// <inheritdoc/>
    public bool ReadsGradients => false;

    /// <inheritdoc/>
    public void Start(long totalSteps, double learningRate) => embeddingFactor = embeddingRate / learningRate;

    /// <inheritdoc/>
    public double RateFactor(string key) => key.Contains(".lora_embedding_") ? embeddingFactor
        : key.EndsWith(".lora_B.weight", StringComparison.Ordinal) || key.EndsWith(".bias", StringComparison.Ordinal) || key.EndsWith(".lora_magnitude_vector", StringComparison.Ordinal) ? ratio : 1;

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
