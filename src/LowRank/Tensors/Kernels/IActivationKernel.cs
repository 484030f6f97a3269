using static TorchSharp.torch;

namespace LowRank.Tensors.Kernels;

/// <summary>An activation function over whole tensors, alone or as a gate, without a graph.</summary>
/// <remarks>The tensors fit <see cref="Elementwise"/>; those of one call have one shape. What is returned has no gaps and lies in the caller's dispose scope.</remarks>
internal interface IActivationKernel
{
    /// <summary>f(x).</summary>
    Tensor Value(Tensor input);

    /// <summary>The gradient of x: dy·f′(x).</summary>
    Tensor Back(Tensor input, Tensor gradient);

    /// <summary>f(g)·u.</summary>
    Tensor Gated(Tensor gate, Tensor up);

    /// <summary>Writes the gradients of g and u: dy·u·f′(g) and dy·f(g).</summary>
    void GatedBack(Tensor gate, Tensor up, Tensor gradient, Tensor ofGate, Tensor ofUp);
}
