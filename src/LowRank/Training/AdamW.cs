using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>AdamW (arXiv 1711.05101), operation for operation as PyTorch computes it.</summary>
/// <remarks>State: two float32 tensors of each weight's shape. Weights are changed in place.</remarks>
public sealed class AdamW : IDisposable
{
    private readonly IReadOnlyList<KeyValuePair<string, Tensor>> weights;
    private readonly Tensor[] means;
    private readonly Tensor[] squares;
    private readonly double beta1;
    private readonly double beta2;
    private readonly double epsilon;
    private readonly double weightDecay;

    /// <summary>Allocates the state of the given weights, zero at the start.</summary>
    public AdamW(IReadOnlyList<KeyValuePair<string, Tensor>> weights, TrainingOptions options)
    {
        this.weights = weights;
        (beta1, beta2, epsilon, weightDecay) = (options.Beta1, options.Beta2, options.Epsilon, options.WeightDecay);
        means = [.. weights.Select(w => zeros_like(w.Value, requires_grad: false).DetachFromDisposeScope())];
        squares = [.. weights.Select(w => zeros_like(w.Value, requires_grad: false).DetachFromDisposeScope())];
    }

    /// <summary>Steps taken.</summary>
    public long StepCount { get; private set; }

    /// <summary>One step with the gradients the weights carry; a weight without one is left as it is.</summary>
    /// <param name="learningRate">The step's rate.</param>
    /// <param name="factor">A weight's rate as a multiple of it, by name; null for 1.</param>
    public void Step(double learningRate, Func<string, double>? factor = null)
    {
        StepCount++;
        double correction1 = 1 - Math.Pow(beta1, StepCount), correction2 = 1 - Math.Pow(beta2, StepCount);
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using Tensor fraction = tensor((float)(1 - beta1));
        for (int i = 0; i < means.Length; i++)
        {
            Tensor weight = weights[i].Value;
            if (weight.grad is not { } gradient) continue;
            double rate = factor is null ? learningRate : learningRate * factor(weights[i].Key);
            if (weightDecay != 0) weight.mul_(1 - rate * weightDecay);
            means[i].lerp_(gradient, fraction.to(weight.device));
            squares[i].mul_(beta2).addcmul_(gradient, gradient, 1 - beta2);
            Tensor denominator = squares[i].sqrt().div_(Math.Sqrt(correction2)).add_(epsilon);
            weight.addcdiv_(means[i], denominator, -rate / correction1);
        }
    }

    /// <summary>The state by name, for a checkpoint; the tensors stay the optimizer's own.</summary>
    public IReadOnlyList<KeyValuePair<string, Tensor>> State() =>
        [.. weights.SelectMany((w, i) => new[] { KeyValuePair.Create(w.Key + ".mean", means[i]), KeyValuePair.Create(w.Key + ".square", squares[i]) })];

    /// <summary>Takes the state of a checkpoint.</summary>
    /// <param name="steps">Steps that had been taken.</param>
    /// <param name="read">Gives the tensor of a name, in the shape of its weight.</param>
    public void Restore(long steps, Func<string, Tensor> read)
    {
        using var noGradient = no_grad();
        for (int i = 0; i < means.Length; i++)
        {
            using Tensor mean = read(weights[i].Key + ".mean"), square = read(weights[i].Key + ".square");
            means[i].copy_(mean);
            squares[i].copy_(square);
        }
        StepCount = steps;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in means.Concat(squares)) tensor.Dispose();
    }
}
