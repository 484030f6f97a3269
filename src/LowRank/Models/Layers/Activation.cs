using LowRank.Kernels;
using LowRank.Kernels.Native;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Activation functions by the names transformers gives them (ACT2FN).</summary>
public static class Activation
{
    private static readonly ActivationFunction Silu =
        new(x => nn.functional.silu(x), new ActivationKernel<SiluFormula>());
    private static readonly ActivationFunction Relu =
        new(x => nn.functional.relu(x), new ActivationKernel<ReluFormula>());
    private static readonly ActivationFunction Gelu =
        new(x => nn.functional.gelu(x), new ActivationKernel<GeluFormula>());
    private static readonly ActivationFunction TanhGelu =
        new(x => nn.functional.gelu(x, GELU.Approximate.tanh), new ActivationKernel<TanhGeluFormula>());

    private static readonly Dictionary<string, ActivationFunction> Functions = new()
    {
        ["silu"] = Silu,
        ["swish"] = Silu,
        ["relu"] = Relu,
        ["gelu"] = Gelu,
        ["gelu_new"] = TanhGelu,
        ["gelu_pytorch_tanh"] = TanhGelu,
        ["gelu_fast"] = TanhGelu,
    };

    /// <summary>The names that can be used.</summary>
    public static IReadOnlyCollection<string> Names => Functions.Keys;

    /// <summary>The name under a config's key, checked.</summary>
    public static string Read(ConfigReader config, string key, string otherwise)
    {
        string name = config.TextOr(key, otherwise);
        if (!Functions.ContainsKey(name)) config.Reject(key, $"\"{name}\"", string.Join(", ", Names));
        return name;
    }

    /// <summary>The function of a name.</summary>
    /// <exception cref="InputException">The name is not known; families reject it before, with its key.</exception>
    public static Func<Tensor, Tensor> Get(string name) => Find(name).Apply;

    /// <summary>The function of a name, which can gate as well.</summary>
    /// <exception cref="InputException">The name is not known; families reject it before, with its key.</exception>
    internal static ActivationFunction Find(string name) =>
        Functions.TryGetValue(name, out ActivationFunction? function)
        ? function
        : throw new InputException(
            $"The activation \"{name}\" is not supported; supported: {string.Join(", ", Names)}.");
}

/// <summary>An activation function: by a kernel of ours for float32 on the processor, else by torch.</summary>
/// <param name="plain">By torch.</param>
/// <param name="kernel">The same function.</param>
internal sealed class ActivationFunction(Func<Tensor, Tensor> plain, IActivationKernel kernel)
{
    /// <summary>f(x), of any shape.</summary>
    public Tensor Apply(Tensor input)
    {
        if (!Elementwise.Fits(input)) return plain(input);
        return is_grad_enabled() && input.requires_grad ? TrainingActivation.Apply(input, kernel) : kernel.Value(input);
    }

    /// <summary>f(g)·u.</summary>
    /// <param name="gate">g, […, width].</param>
    /// <param name="up">u, as g.</param>
    public Tensor Gate(Tensor gate, Tensor up)
    {
        if (!Elementwise.Fits(gate) || !Elementwise.Fits(up) || !gate.shape.SequenceEqual(up.shape))
            return plain(gate) * up;
        return is_grad_enabled() && (gate.requires_grad || up.requires_grad) ? TrainingGate.Apply(gate, up, kernel)
            : kernel.Gated(gate, up);
    }

    /// <summary>f(g)·u, where g and u are the halves of a tensor.</summary>
    /// <param name="both">[…, 2 · width]</param>
    /// <returns>[…, width]</returns>
    public Tensor GateHalves(Tensor both)
    {
        (Tensor gate, Tensor up) = TrainingGate.Halves(both);
        return is_grad_enabled() && both.requires_grad && Elementwise.Fits(both)
            ? TrainingGate.Apply(both, null, kernel) : Gate(gate, up);
    }
}

/// <summary>An activation function as one step of the graph, which keeps the input alone.</summary>
internal sealed class TrainingActivation : autograd.SingleTensorFunction<TrainingActivation>
{
    private const string Kernel = "kernel";

    /// <inheritdoc/>
    public override string Name => nameof(TrainingActivation);

    /// <summary>f(x).</summary>
    /// <param name="input">Any shape that fits <see cref="Elementwise"/>.</param>
    /// <param name="kernel">The function.</param>
    /// <returns>As the input, in the caller's dispose scope.</returns>
    public static Tensor Apply(Tensor input, IActivationKernel kernel)
    {
        // The function keeps a tensor of its output's size, which nobody reads: the scope frees it.
        using var scope = NewDisposeScope();
        return apply(input, kernel).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (input, kernel) = ((Tensor)vars[0], (IActivationKernel)vars[1]);
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
            ((IActivationKernel)ctx.get_data(Kernel)).Back(ctx.get_saved_variables()[0], gradient), null);
    }
}

/// <summary>f(g)·u as one step of the graph, which keeps g and u alone and computes f(g) again for the backward
/// pass.</summary>
internal sealed class TrainingGate : autograd.SingleTensorFunction<TrainingGate>
{
    private const string Kernel = "kernel";

    /// <inheritdoc/>
    public override string Name => nameof(TrainingGate);

    /// <summary>f(g)·u.</summary>
    /// <param name="gate">g, […, width]; with u behind it, […, 2 · width], where <paramref name="up"/> is null.</param>
    /// <param name="up">u, […, width].</param>
    /// <param name="kernel">f.</param>
    /// <returns>[…, width], in the caller's dispose scope.</returns>
    public static Tensor Apply(Tensor gate, Tensor? up, IActivationKernel kernel)
    {
        // The function keeps a tensor of its output's size, which nobody reads: the scope frees it.
        using var scope = NewDisposeScope();
        return apply(gate, up!, kernel).MoveToOuterDisposeScope();
    }

    /// <summary>The halves of the last axis, as views.</summary>
    public static (Tensor First, Tensor Second) Halves(Tensor both)
    {
        long half = both.shape[^1] / 2;
        return (both.narrow(-1, 0, half), both.narrow(-1, half, half));
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        using var scope = NewDisposeScope();
        var (first, second, kernel) = ((Tensor)vars[0], vars[1] as Tensor, (IActivationKernel)vars[2]);
        BackwardErrors.Watch(ctx, vars);
        ctx.save_data(Kernel, kernel);
        ctx.save_for_backward([first, second!]);
        (Tensor gate, Tensor up) = second is null ? Halves(first) : (first, second);
        return kernel.Gated(gate, up).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardErrors.Guard(Gradients, ctx, grad_output);

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReturnedGradients.Release();
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var kernel = (IActivationKernel)ctx.get_data(Kernel);
        Tensor gradient = grad_output.contiguous();
        grad_output.Dispose(); // the function's own reference
        List<Tensor> saved = ctx.get_saved_variables();
        Tensor ofFirst = StepMemory.Empty(saved[0].shape);
        if (saved[1] is { } second)
        {
            Tensor ofSecond = StepMemory.Empty(second.shape);
            kernel.GatedBack(saved[0], second, gradient, ofFirst, ofSecond);
            return ReturnedGradients.Keep(ofFirst, ofSecond, null);
        }
        (Tensor gate, Tensor up) = Halves(saved[0]);
        (Tensor ofGate, Tensor ofUp) = Halves(ofFirst);
        kernel.GatedBack(gate, up, gradient, ofGate, ofUp);
        return ReturnedGradients.Keep(ofFirst, null, null);
    }
}

/// <summary>a + b as a step of the graph, in the memory of a step.</summary>
internal sealed class TrainingSum : autograd.SingleTensorFunction<TrainingSum>
{
    /// <inheritdoc/>
    public override string Name => nameof(TrainingSum);

    /// <summary>a + b.</summary>
    /// <param name="a">Any shape that fits <see cref="Elementwise"/>.</param>
    /// <param name="b">As a.</param>
    /// <returns>As the inputs, in the caller's dispose scope.</returns>
    public static Tensor Apply(Tensor a, Tensor b)
    {
        // The function keeps a tensor of its output's size, which nobody reads: the scope frees it.
        using var scope = NewDisposeScope();
        return apply(a, b).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        BackwardErrors.Watch(ctx, vars);
        return ElementSum.Of((Tensor)vars[0], (Tensor)vars[1]);
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardErrors.Guard(Gradients, ctx, grad_output);

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReturnedGradients.Release();
        return ReturnedGradients.Keep(grad_output, grad_output.alias());
    }
}
