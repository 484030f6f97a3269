using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>A method's additions to the plain training step: which weights it trains and at what rate, a penalty, and
/// changes to gradients and weights around the optimizer's step.</summary>
public interface ITrainingHooks : IDisposable
{
    /// <summary>Whether a weight of the adapter is trained, by its key in the file.</summary>
    bool Trains(string key) => true;

    /// <summary>Called before the first step.</summary>
    /// <param name="totalSteps">Number of steps in the run.</param>
    /// <param name="learningRate">The peak learning rate.</param>
    void Start(long totalSteps, double learningRate);

    /// <summary>The factor of the run's learning rate for a weight.</summary>
    double RateFactor(string key) => 1;

    /// <summary>Whether the method examines gradients around the step. If so, they are clipped in place first;
    /// otherwise the optimizer scales them as it reads them.</summary>
    bool ReadsGradients => true;

    /// <summary>A penalty added to the mean loss of a step; null for none. In the caller's dispose scope.</summary>
    Tensor? Penalty() => null;

    /// <summary>Called after gradients are complete and clipped, before the optimizer uses them.</summary>
    void BeforeUpdate();

    /// <summary>Called after the optimizer's step; gradients still exist.</summary>
    /// <param name="step">The step number, from 1.</param>
    void AfterUpdate(long step);

    /// <summary>The state needed to continue a run from a checkpoint, by name; the hooks keep ownership of the
    /// tensors.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> State => [];
}

/// <summary>The plain step: every weight is trained at the run's rate.</summary>
internal sealed class NoTrainingHooks : ITrainingHooks
{
    /// <summary>The single instance; it has no state.</summary>
    public static NoTrainingHooks Instance { get; } = new();

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
