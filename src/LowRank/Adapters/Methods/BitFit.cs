namespace LowRank.Adapters;

/// <summary>Only the biases of the base are trained.</summary>
internal sealed record BitFitMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "bitfit";

    /// <inheritdoc/>
    public string Title => "BitFit";

    /// <inheritdoc/>
    public string Paper => "arXiv 2106.10199";

    /// <inheritdoc/>
    public string Summary => "Only the biases of the base are trained.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = ["modules_to_save"];

    /// <inheritdoc/>
    public double DefaultLearningRate => 1e-3;

    ITrainingHooks IAdapterMethod.Hooks(Adapter adapter) => new BitFitHooks(adapter);

    /// <inheritdoc/>
    public AdapterConfig Configure(LoraConfig shared) =>
        shared with { Bias = BiasTraining.All, Rank = 1, Alpha = 1 };
}

/// <summary>BitFit (arXiv 2106.10199): only biases are trained.</summary>
/// <remarks>PEFT has no such adapter type. It is stored as a LoRA adapter with <c>bias: all</c> whose pairs, of rank 1,
/// remain zero, so PEFT can load it unchanged.</remarks>
internal sealed class BitFitHooks : ITrainingHooks
{
    private readonly HashSet<string> pairs;

    /// <summary>Checks that there is something to train.</summary>
    /// <exception cref="InputException">The model has no bias.</exception>
    public BitFitHooks(Adapter adapter)
    {
        pairs = [.. adapter.Parts.OfType<AdaptedLayer>().SelectMany(part => part.Weights)
            .Select(weight => weight.Key)];
        if (!adapter.TrainedWeights.Any(
            weight => !pairs.Contains(weight.Key) && weight.Key.EndsWith(".bias", StringComparison.Ordinal)))
            throw new InputException(
                $"BitFit trains biases, and {adapter.Config.BaseModel} has none. Choose another " +
                "method, such as ia3 for few weights.");
    }

    public bool Trains(string key) => !pairs.Contains(key);

    public bool ReadsGradients => false;

    public void Start(long totalSteps, double learningRate)
    {
        // Nothing depends on the run.
    }

    public void BeforeUpdate()
    {
        // Gradients are used unchanged.
    }

    public void AfterUpdate(long step)
    {
        // Nothing to do after the step.
    }

    public void Dispose()
    {
        // No state.
    }
}
