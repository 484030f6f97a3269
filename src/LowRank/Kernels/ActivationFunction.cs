using LowRank.Kernels.Native;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>An activation function f, alone and as a gate (GLU variants, arXiv 2002.05202).</summary>
internal sealed class ActivationFunction
{
    private readonly Func<Tensor, Tensor> plain;
    private readonly IActivationKernel kernel;

    /// <param name="plain">f in torch's operations.</param>
    /// <param name="kernel">f and its derivative on the processor.</param>
    internal ActivationFunction(Func<Tensor, Tensor> plain, IActivationKernel kernel) =>
        (this.plain, this.kernel) = (plain, kernel);

    /// <summary>x·σ(x), also called swish (arXiv 1702.03118).</summary>
    public static ActivationFunction Silu { get; } =
        new(x => nn.functional.silu(x), new ActivationKernel<SiluFormula>());

    /// <summary>max(x, 0).</summary>
    public static ActivationFunction Relu { get; } =
        new(x => nn.functional.relu(x), new ActivationKernel<ReluFormula>());

    /// <summary>x·Φ(x), with the normal distribution Φ (arXiv 1606.08415).</summary>
    public static ActivationFunction Gelu { get; } =
        new(x => nn.functional.gelu(x), new ActivationKernel<GeluFormula>());

    /// <summary>The tanh approximation of Gelu (arXiv 1606.08415, section 2).</summary>
    public static ActivationFunction TanhGelu { get; } =
        new(x => nn.functional.gelu(x, GELU.Approximate.tanh), new ActivationKernel<TanhGeluFormula>());

    /// <summary>f(x).</summary>
    /// <param name="input">x, of any shape.</param>
    /// <returns>Same shape as the input, in the caller's dispose scope.</returns>
    public Tensor Apply(Tensor input)
    {
        if (KernelForm.IsPlain || !Elementwise.Fits(input)) return plain(input);
        return is_grad_enabled() && input.requires_grad ? new ActivationStep(kernel).Apply(input)
            : kernel.Value(input);
    }

    /// <summary>f(g)·u.</summary>
    /// <param name="gate">g, […, width].</param>
    /// <param name="up">u, same shape as g.</param>
    /// <returns>Same shape as g, in the caller's dispose scope.</returns>
    public Tensor Gate(Tensor gate, Tensor up)
    {
        if (KernelForm.IsPlain || !Elementwise.Fits(gate) || !Elementwise.Fits(up)
            || !gate.shape.SequenceEqual(up.shape))
            return plain(gate) * up;
        return is_grad_enabled() && (gate.requires_grad || up.requires_grad) ? new GateStep(kernel).Apply(gate, up)
            : kernel.Gated(gate, up);
    }

    /// <summary>f(g)·u, where g and u are the halves of a tensor.</summary>
    /// <param name="both">[…, 2 · width]</param>
    /// <returns>[…, width], in the caller's dispose scope.</returns>
    public Tensor GateHalves(Tensor both)
    {
        if (!KernelForm.IsPlain && is_grad_enabled() && both.requires_grad && Elementwise.Fits(both))
            return new GateStep(kernel).Apply(both, null); // takes one gradient, not two that are joined
        (Tensor gate, Tensor up) = Halves(both);
        return Gate(gate, up);
    }

    /// <summary>Views of the two halves of the last axis.</summary>
    internal static (Tensor First, Tensor Second) Halves(Tensor both)
    {
        long half = both.shape[^1] / 2;
        return (both.narrow(-1, 0, half), both.narrow(-1, half, half));
    }
}

/// <summary>An activation function as one step of the graph; it keeps only the input.</summary>
/// <param name="kernel">The function.</param>
internal sealed class ActivationStep(IActivationKernel kernel) : GraphStep
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

/// <summary>f(g)·u as one step of the graph; it keeps only g and u and recomputes f(g) in the backward pass.</summary>
/// <remarks>The inputs are g and u, or [g, u] joined along the last axis and null.</remarks>
/// <param name="kernel">f.</param>
internal sealed class GateStep(IActivationKernel kernel) : GraphStep
{
    /// <inheritdoc/>
    protected override Tensor Forward(Tensor?[] inputs)
    {
        Keep(inputs);
        (Tensor gate, Tensor up) = inputs[1] is { } second ? (inputs[0]!, second)
            : ActivationFunction.Halves(inputs[0]!);
        return kernel.Gated(gate, up);
    }

    /// <inheritdoc/>
    protected override Tensor?[] Backward(Tensor gradient, IReadOnlyList<Tensor?> kept)
    {
        Tensor first = kept[0]!, ofFirst = StepMemory.Empty(first.shape);
        if (kept[1] is { } second)
        {
            Tensor ofSecond = StepMemory.Empty(second.shape);
            kernel.GatedBack(first, second, gradient, ofFirst, ofSecond);
            return [ofFirst, ofSecond];
        }
        (Tensor gate, Tensor up) = ActivationFunction.Halves(first);
        (Tensor ofGate, Tensor ofUp) = ActivationFunction.Halves(ofFirst);
        kernel.GatedBack(gate, up, gradient, ofGate, ofUp);
        return [ofFirst, null];
    }
}
