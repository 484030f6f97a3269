namespace LowRank.Training;

/// <summary>Training has left the numbers: the loss or the gradient is infinite or not a number.</summary>
/// <param name="step">The step, counted from 1.</param>
/// <param name="loss">The loss.</param>
/// <param name="gradientNorm">The norm of the gradients.</param>
/// <param name="learningRate">The learning rate.</param>
public sealed class NonFiniteLossException(long step, double loss, double gradientNorm, double learningRate) : Exception(
    $"Step {step}: loss {loss}, gradient norm {gradientNorm} at learning rate {learningRate:g3}; expected finite numbers. " +
    "The weights of this step are not changed. Lower training.learning_rate, add training.warmup_steps, or check the data.")
{
    /// <summary>The step, counted from 1.</summary>
    public long Step { get; } = step;
}
