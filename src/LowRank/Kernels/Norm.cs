using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Normalisation over the last axis.</summary>
internal static class Norm
{
    /// <summary>Layer normalisation: w · (x − mean(x)) / √(variance(x) + ε) + b (arXiv 1607.06450).</summary>
    /// <param name="input">x, […, width].</param>
    /// <param name="weight">w, [width]; null for 1.</param>
    /// <param name="bias">b, [width]; null for 0.</param>
    /// <param name="epsilon">ε.</param>
    /// <returns>Same shape as the input, in the caller's dispose scope.</returns>
    public static Tensor Layer(Tensor input, Tensor? weight, Tensor? bias, double epsilon) =>
        Fast(input, new NormKernel(weight, bias, epsilon, 0, isCentred: true))
        ?? nn.functional.layer_norm(input, [input.shape[^1]], weight, bias, epsilon);

    /// <summary>Root mean square normalisation: (w + offset) · x / √(mean(x²) + ε) (arXiv 1910.07467).</summary>
    /// <param name="input">x, […, width].</param>
    /// <param name="weight">w, [width].</param>
    /// <param name="offset">Added to the weight.</param>
    /// <param name="epsilon">ε.</param>
    /// <returns>Same shape as the input, in the caller's dispose scope.</returns>
    public static Tensor RootMeanSquare(Tensor input, Tensor weight, double offset, double epsilon) =>
        Fast(input, new NormKernel(weight, null, epsilon, offset, isCentred: false))
        ?? (offset == 0 ? weight : weight.Plus(offset)) * (
            input * rsqrt(input.pow(Number(2)).mean([-1], keepdim: true).Plus(epsilon)));

    private static Tensor? Fast(Tensor input, NormKernel kernel)
    {
        if (KernelForm.IsPlain || !kernel.Fits(input)) return null;
        return is_grad_enabled() && input.requires_grad ? new NormStep(kernel).Apply(input) : kernel.Value(input);
    }
}

/// <summary>A normalisation with a frozen weight and bias as one step of the graph; it keeps only the input.</summary>
/// <param name="kernel">The normalisation.</param>
internal sealed class NormStep(NormKernel kernel) : GraphStep
{
    /// <inheritdoc/>
    protected override Tensor Forward(Tensor?[] inputs)
    {
        Keep(inputs[0]);
        return kernel.Value(inputs[0]!);
    }

    /// <inheritdoc/>
    protected override Tensor?[] Backward(Tensor gradient, IReadOnlyList<Tensor?> kept) =>
        [kernel.Back(kept[0]!, gradient)];
}
