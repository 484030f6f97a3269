using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A normalisation over the last axis.</summary>
public interface INormalization
{
    /// <summary>Normalises […, width]; the shape stays.</summary>
    Tensor Forward(Tensor input);
}

/// <summary>Layer normalisation (arXiv 1607.06450), with weight and bias where the checkpoint has them.</summary>
public sealed class LayerNorm : INormalization
{
    private readonly Tensor? weight;
    private readonly RowNorm kernel;
    private readonly Tensor? bias;
    private readonly double epsilon;

    /// <summary>Takes the weight and bias, each [width].</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="width">The width normalised over.</param>
    /// <param name="epsilon">Guards against division by zero.</param>
    /// <param name="hasWeight">Whether there is a weight; 1 otherwise.</param>
    /// <param name="hasBias">Whether there is a bias; 0 otherwise.</param>
    public LayerNorm(
        WeightLoader weights, string path, int width, double epsilon, bool hasWeight = true, bool hasBias = true)
    {
        if (hasWeight) weight = weights.Take(path + ".weight", width);
        if (hasBias) bias = weights.Take(path + ".bias", width);
        this.epsilon = epsilon;
        kernel = new RowNorm(weight, bias, epsilon, 0, isCentred: true);
    }

    /// <summary>A norm of a task's head: its weights are taken where the checkpoint has them, else ones and
    /// zeros.</summary>
    public LayerNorm(WeightLoader weights, string path, int width, double epsilon, bool hasBias, double range)
    {
        weight = weights.TakeOrDraw(path + ".weight", range, width);
        if (hasBias) bias = weights.TakeOrDraw(path + ".bias", range, width);
        this.epsilon = epsilon;
        kernel = new RowNorm(weight, bias, epsilon, 0, isCentred: true);
    }

    /// <inheritdoc/>
    public Tensor Forward(Tensor input)
    {
        if (kernel.Fits(input))
            return is_grad_enabled() && input.requires_grad ? TrainingNorm.Apply(input, kernel) : kernel.Value(input);
        return nn.functional.layer_norm(input, [input.shape[^1]], weight, bias, epsilon);
    }
}

/// <summary>Root mean square normalisation: (offset + w) · x / √(mean(x²) + ε) (arXiv 1910.07467).</summary>
public sealed class RmsNorm : INormalization
{
    private readonly Tensor weight;
    private readonly RowNorm kernel;
    private readonly double epsilon;
    private readonly double offset;

    /// <summary>Takes the weight [width].</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="width">The width normalised over.</param>
    /// <param name="epsilon">Guards against division by zero.</param>
    /// <param name="offset">What is added to the stored weight: 1 for Gemma, which stores the difference from
    /// 1.</param>
    public RmsNorm(WeightLoader weights, string path, int width, double epsilon, double offset = 0)
    {
        this.offset = offset;
        weight = weights.Take(path + ".weight", width);
        this.epsilon = epsilon;
        kernel = new RowNorm(weight, null, epsilon, offset, isCentred: false);
    }

    /// <inheritdoc/>
    public Tensor Forward(Tensor input)
    {
        if (kernel.Fits(input))
            return is_grad_enabled() && input.requires_grad ? TrainingNorm.Apply(input, kernel) : kernel.Value(input);
        Tensor meanSquare = input.pow(2).mean([-1], keepdim: true);
        return (offset == 0 ? weight : weight + offset) * (input * rsqrt(meanSquare + epsilon));
    }
}

/// <summary>A normalisation with a frozen weight and bias as one step of the graph, which keeps the input
/// alone.</summary>
internal sealed class TrainingNorm : autograd.SingleTensorFunction<TrainingNorm>
{
    private const string Kernel = "kernel";

    /// <inheritdoc/>
    public override string Name => nameof(TrainingNorm);

    /// <summary>The normalised rows.</summary>
    /// <param name="input">[…, width], which fits the kernel.</param>
    /// <param name="kernel">The norm.</param>
    /// <returns>As the input, in the caller's dispose scope.</returns>
    public static Tensor Apply(Tensor input, RowNorm kernel)
    {
        // The function keeps a tensor of its output's size, which nobody reads: the scope frees it.
        using var scope = NewDisposeScope();
        return apply(input, kernel).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (input, kernel) = ((Tensor)vars[0], (RowNorm)vars[1]);
        BackwardErrors.Watch(ctx, vars);
        ctx.save_data(Kernel, kernel);
        ctx.save_for_backward([input]);
        return kernel.Value(input);
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardErrors.Guard(Gradients, ctx, grad_output);

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReturnedGradients.Release();
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor gradient = grad_output.contiguous();
        grad_output.Dispose(); // the function's own reference
        return ReturnedGradients.Keep(
            ((RowNorm)ctx.get_data(Kernel)).Back(ctx.get_saved_variables()[0], gradient), null);
    }
}
