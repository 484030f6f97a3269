using LowRank.Tensors.Kernels;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

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
        if (!Elementwise.Fits(gate) || !Elementwise.Fits(up) || !gate.shape.SequenceEqual(up.shape)) return plain(gate) * up;
        return is_grad_enabled() && (gate.requires_grad || up.requires_grad) ? TrainingGate.Apply(gate, up, kernel) : kernel.Gated(gate, up);
    }

    /// <summary>f(g)·u, where g and u are the halves of a tensor.</summary>
    /// <param name="both">[…, 2 · width]</param>
    /// <returns>[…, width]</returns>
    public Tensor GateHalves(Tensor both)
    {
        (Tensor gate, Tensor up) = TrainingGate.Halves(both);
        return is_grad_enabled() && both.requires_grad && Elementwise.Fits(both) ? TrainingGate.Apply(both, null, kernel) : Gate(gate, up);
    }
}
