namespace LowRank.Adapters.Methods.BitFit;

/// <summary>BitFit (arXiv 2106.10199): biases alone are trained.</summary>
/// <remarks>PEFT has no such kind of adapter. It is kept as a LoRA adapter with <c>bias: all</c> whose pairs, of rank 1, stay at
/// zero change: PEFT loads it as it is.</remarks>
public sealed class BitFitRules : ITrainingRules
{
    private readonly HashSet<string> pairs;

    /// <summary>Checks that there is something to train.</summary>
    /// <exception cref="InputException">The model has no bias.</exception>
    public BitFitRules(Adapter adapter)
    {
        pairs = [.. adapter.Parts.OfType<AdaptedModule>().SelectMany(part => part.Weights).Select(weight => weight.Key)];
        if (!adapter.TrainedWeights.Any(weight => !pairs.Contains(weight.Key) && weight.Key.EndsWith(".bias", StringComparison.Ordinal)))
            throw new InputException($"adapter.method bitfit trains biases, and {adapter.Config.BaseModel} has none. Choose another method, such as ia3 for few weights.");
    }

    /// <inheritdoc/>
    public bool Trains(string key) => !pairs.Contains(key);

    /// <inheritdoc/>
    public bool ReadsGradients => false;

    /// <inheritdoc/>
    public void Start(long totalSteps, double learningRate)
    {
        // Nothing depends on the run.
    }

    /// <inheritdoc/>
    public void BeforeUpdate()
    {
        // Gradients are used as they are.
    }

    /// <inheritdoc/>
    public void AfterUpdate(long step)
    {
        // Nothing follows the step.
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Nothing is held.
    }
}
