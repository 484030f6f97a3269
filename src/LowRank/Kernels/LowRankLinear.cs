using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>A linear layer, y = Wx + b, optionally with a low-rank pair, y = Wx + b + s·B(A·dropout(x)) (LoRA, arXiv
/// 2106.09685, section 4.1).</summary>
internal static class LowRankLinear
{
    /// <summary>Wx + b.</summary>
    /// <param name="input">x, […, in].</param>
    /// <param name="weight">W.</param>
    /// <param name="bias">b, [out], or null.</param>
    /// <returns>[…, out], in the caller's dispose scope.</returns>
    public static Tensor Base(Tensor input, IWeightMatrix weight, Tensor? bias)
    {
        // Torch's own graph trains W and b, and is fastest with a dense weight on another device.
        bool isFast = weight.IsPacked
            || (input.device_type == DeviceType.CPU && !Trains(weight) && !Trains(bias));
        if (KernelForm.IsPlain || !isFast) return weight.Plain(input, bias);
        if (Trains(bias)) return Base(input, weight, null).Plus(bias!);
        if (!is_grad_enabled()) return weight.Product(input, bias);
        return input.requires_grad
            ? Recomputation.Ends(new LowRankLinearStep(weight, bias, 0).Apply(input, null, null, null))
            : weight.StepProduct(input, bias);
    }

    /// <summary>y + s·(B(A(kept ∘ x)) + c), where y is the layer's output without the pair.</summary>
    /// <param name="input">x, […, in].</param>
    /// <param name="inner">The layer without the pair.</param>
    /// <param name="a">A, [rank, in].</param>
    /// <param name="b">B, [out, rank].</param>
    /// <param name="scale">s.</param>
    /// <param name="kept">The dropout factor of x; null without dropout.</param>
    /// <param name="bias">c, [out]; null for none.</param>
    /// <returns>[…, out], in the caller's dispose scope.</returns>
    public static Tensor Apply(
        Tensor input, InnerLayer inner, Tensor a, Tensor b, double scale, Tensor? kept = null, Tensor? bias = null)
    {
        bool isStep = !KernelForm.IsPlain && is_grad_enabled() && bias is null
            && input.device_type == DeviceType.CPU && !Trains(inner.Bias);
        return isStep && inner.Weight is { } weight && !Trains(weight)
            ? Recomputation.Ends(new LowRankLinearStep(weight, inner.Bias, scale).Apply(input, a, b, kept))
            : Add(inner.Forward(input), input, a, b, scale, kept, bias);
    }

    /// <summary>y + s·(B(A(kept ∘ x)) + c), for a known y.</summary>
    /// <param name="output">y, […, out]; it must not be shared, because it may be modified.</param>
    /// <param name="input">x, […, in].</param>
    /// <param name="a">A, [rank, in].</param>
    /// <param name="b">B, [out, rank].</param>
    /// <param name="scale">s.</param>
    /// <param name="kept">The dropout factor of x; null without dropout.</param>
    /// <param name="bias">c, [out]; null for none.</param>
    /// <returns>[…, out]</returns>
    public static Tensor Add(Tensor output, Tensor input, Tensor a, Tensor b, double scale, Tensor? kept = null,
        Tensor? bias = null)
    {
        if (!KernelForm.IsPlain && kept is null && bias is null && LowRankSum.TryAdd(output, input, a, b, scale))
            return output;
        Tensor reduced = LinearProduct.Apply(kept is null ? input : input * kept, a); // […, rank]
        return Recomputation.Passes(output, output.add(LinearProduct.Apply(reduced, b, bias), Number(scale)));
    }

    private static bool Trains(IWeightMatrix weight) => is_grad_enabled() && weight.TakesGradient;

    private static bool Trains(Tensor? bias) => is_grad_enabled() && bias is { requires_grad: true };
}

/// <summary>A frozen linear layer, with or without its pair, as one step of the graph.</summary>
/// <remarks>Keeps x, A·x and the dropout mask, but nothing of W. Backward, dx = dy·W + s·(dy·B)·A, and W gets no
/// gradient. The pair's part is added to the base's output in place.</remarks>
/// <param name="weight">W.</param>
/// <param name="bias">b, [out]; null for none.</param>
/// <param name="scale">s.</param>
internal sealed class LowRankLinearStep(IWeightMatrix weight, Tensor? bias, double scale) : GraphStep
{
    /// <inheritdoc/>
    protected override Tensor Forward(Tensor?[] inputs)
    {
        (Tensor x, Tensor? a, Tensor? b, Tensor? kept) = (inputs[0]!, inputs[1], inputs[2], inputs[3]);
        bool isUnread = Recomputation.Begins();
        Tensor output = isUnread ? StepMemory.EmptyBeside(x, [.. x.shape[..^1], weight.Outputs])
            : weight.StepProduct(x, bias);
        if (a is null || b is null) return output;
        Tensor reduced = matmul(kept is null ? x : x * kept, a.t()); // […, rank]
        if (!isUnread)
            output.view(-1, weight.Outputs).addmm_(
                reduced.view(-1, reduced.shape[^1]), b.t(), beta: 1, alpha: (float)scale);
        Keep(Needs(1) ? x : null, a, b, kept, reduced);
        return output;
    }

    /// <inheritdoc/>
    protected override Tensor?[] Backward(Tensor gradient, IReadOnlyList<Tensor?> kept)
    {
        long[] shape = [.. gradient.shape[..^1], weight.Inputs];
        Tensor dy = gradient.view(-1, weight.Outputs); // [rows, out]
        Tensor? dx = Needs(0) ? weight.BackProduct(dy) : null; // [rows, in]
        if (kept is not [var x, { } a, { } b, var mask, { } reduced]) return [dx?.view(shape), null, null, null];
        Tensor ofReduced = dy.matmul(b).mul_(Number(scale)); // [rows, rank]
        Tensor? ofA = null,
            ofB = Needs(2) ? dy.t().matmul(reduced.view(-1, reduced.shape[^1])).mul_(Number(scale)) : null;
        mask = mask?.reshape(-1, weight.Inputs);
        if (x is not null)
        {
            Tensor rows = x.reshape(-1, weight.Inputs);
            ofA = ofReduced.t().matmul(mask is null ? rows : rows * mask);
        }
        if (mask is null) dx?.addmm_(ofReduced, a, beta: 1, alpha: 1);
        else dx?.addcmul_(ofReduced.matmul(a), mask, Number(1));
        return [dx?.view(shape), ofA, ofB, null];
    }
}

/// <summary>The layer below the current adapter: Wx + b, a table lookup, or these with the adapters below it.</summary>
public sealed class InnerLayer
{
    private readonly Func<Tensor, Tensor>? function;

    /// <summary>Wraps any function.</summary>
    public InnerLayer(Func<Tensor, Tensor> function) => this.function = function;

    /// <summary>Wx + b.</summary>
    /// <param name="weight">W.</param>
    /// <param name="bias">b, or null.</param>
    internal InnerLayer(IWeightMatrix weight, Tensor? bias) => (Weight, Bias) = (weight, bias);

    /// <summary>W, if the layer is just Wx + b; otherwise null.</summary>
    internal IWeightMatrix? Weight { get; }

    /// <summary>b, or null.</summary>
    internal Tensor? Bias { get; }

    /// <summary>Whether it computes Wx + b, with no adapter below.</summary>
    internal bool IsBase { get => field || Weight is not null; init; }

    /// <summary>Computes the layer.</summary>
    /// <param name="input">[…, in] for a linear layer; token ids for a table.</param>
    /// <returns>[…, out]</returns>
    public Tensor Forward(Tensor input) =>
        function is null ? LowRankLinear.Base(input, Weight!, Bias) : function(input);
}
