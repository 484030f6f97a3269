using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>What a method does in training besides the plain step: which weights it trains and how fast, a penalty,
/// changes of gradients and weights around the optimizer's step.</summary>
public interface ITrainingHooks : IDisposable
{
    /// <summary>Whether a weight of the adapter is trained, by its key in the file.</summary>
    bool Trains(string key) => true;

    /// <summary>Before the first step.</summary>
    /// <param name="totalSteps">Steps of the whole run.</param>
    /// <param name="learningRate">The peak learning rate.</param>
    void Start(long totalSteps, double learningRate);

    /// <summary>A weight's learning rate as a multiple of the run's.</summary>
    double RateFactor(string key) => 1;

    /// <summary>Whether it looks at gradients around the step. Where it does, they are clipped in place before;
    /// otherwise the optimizer scales them as it reads them.</summary>
    bool ReadsGradients => true;

    /// <summary>What is added to the mean loss of a step; null for nothing. In the caller's dispose scope.</summary>
    Tensor? Penalty() => null;

    /// <summary>After gradients are complete and clipped, before the optimizer uses them.</summary>
    void BeforeUpdate();

    /// <summary>After the optimizer's step; gradients are still there.</summary>
    /// <param name="step">The step's number, from 1.</param>
    void AfterUpdate(long step);

    /// <summary>What must be kept for a run to go on from a checkpoint, by name; the tensors stay the rules'
    /// own.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> State => [];
}

/// <summary>The plain step: every weight is trained at the run's rate.</summary>
public sealed class NoTrainingHooks : ITrainingHooks
{
    /// <summary>The rules; they hold nothing.</summary>
    public static NoTrainingHooks Instance { get; } = new();

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
