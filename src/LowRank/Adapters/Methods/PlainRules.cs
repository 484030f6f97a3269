namespace LowRank.Adapters.Methods;

/// <summary>The plain step: every weight is trained at the run's rate.</summary>
public sealed class PlainRules : ITrainingRules
{
    /// <summary>The rules; they hold nothing.</summary>
    public static PlainRules Instance { get; } = new();

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
