using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>The weight W of a linear layer, [out, in], in any storage form.</summary>
internal interface IWeightMatrix
{
    /// <summary>Width of the layer's input.</summary>
    long Inputs { get; }

    /// <summary>Width of the layer's output.</summary>
    long Outputs { get; }

    /// <summary>Whether <see cref="Dense"/> must expand it at every call, as only the plain form should make it
    /// do.</summary>
    bool IsPacked { get; }

    /// <summary>Whether it is trained.</summary>
    bool TakesGradient { get; }

    /// <summary>W as float32, [out, in]. A packed weight is expanded on every access, into the caller's dispose
    /// scope.</summary>
    Tensor Dense();

    /// <summary>x·Wᵀ + b as the formula in torch's operations, which record it for gradients.</summary>
    /// <param name="input">x, […, in].</param>
    /// <param name="bias">b, [out], or null.</param>
    /// <returns>[…, out], in the caller's dispose scope.</returns>
    Tensor Plain(Tensor input, Tensor? bias);

    /// <summary>x·Wᵀ + b outside training: a row's result depends on no other row.</summary>
    /// <param name="input">x, […, in].</param>
    /// <param name="bias">b, [out], or null.</param>
    /// <returns>[…, out], in the caller's dispose scope.</returns>
    Tensor Product(Tensor input, Tensor? bias);

    /// <summary>x·Wᵀ + b in a training step, in the fastest way.</summary>
    /// <param name="input">x, […, in].</param>
    /// <param name="bias">b, [out], or null.</param>
    /// <returns>[…, out], in the caller's dispose scope.</returns>
    Tensor StepProduct(Tensor input, Tensor? bias);

    /// <summary>y·W, without a graph: the gradient of the input from the gradient of the output.</summary>
    /// <param name="gradient">y, [rows, out].</param>
    /// <returns>[rows, in], in the caller's dispose scope.</returns>
    Tensor BackProduct(Tensor gradient);

    /// <summary>result = x·Wᵀ, without a graph.</summary>
    /// <param name="result">[rows, out], contiguous.</param>
    /// <param name="rows">x, [rows, in].</param>
    void Write(Tensor result, Tensor rows);

    /// <summary>result = y·W, without a graph.</summary>
    /// <param name="result">[rows, in], contiguous.</param>
    /// <param name="gradient">y, [rows, out].</param>
    void WriteBack(Tensor result, Tensor gradient);
}

/// <summary>A weight stored as a tensor.</summary>
/// <param name="stored">[out, in], or [in, out] if <paramref name="isTransposed"/>.</param>
/// <param name="isTransposed">Whether it is stored as [in, out], as in GPT-2's Conv1D.</param>
internal sealed class DenseMatrix(Tensor stored, bool isTransposed = false) : IWeightMatrix
{
    /// <summary>The tensor as stored.</summary>
    public Tensor Stored => stored;

    /// <inheritdoc/>
    public long Inputs => stored.shape[isTransposed ? 0 : 1];

    /// <inheritdoc/>
    public long Outputs => stored.shape[isTransposed ? 1 : 0];

    /// <inheritdoc/>
    public bool IsPacked => false;

    /// <inheritdoc/>
    public bool TakesGradient => stored.requires_grad;

    /// <inheritdoc/>
    public Tensor Dense() => isTransposed ? stored.t() : stored;

    /// <inheritdoc/>
    public Tensor Plain(Tensor input, Tensor? bias) => nn.functional.linear(input, Dense(), bias);

    /// <inheritdoc/>
    public Tensor Product(Tensor input, Tensor? bias)
    {
        using var noGradient = no_grad();
        return LinearProduct.TryLinear(input, stored, isTransposed, bias) ?? Fastest(input, bias);
    }

    /// <inheritdoc/>
    public Tensor StepProduct(Tensor input, Tensor? bias)
    {
        using var noGradient = no_grad();
        bool isSmall = KernelTensors.Rows(input.shape) <= LinearProduct.StreamedRows;
        return (isSmall ? LinearProduct.TryLinear(input, stored, isTransposed, bias) : null) ?? Fastest(input, bias);
    }

    /// <inheritdoc/>
    public Tensor BackProduct(Tensor gradient) => MatMul.Multiply(gradient, Dense());

    /// <inheritdoc/>
    public void Write(Tensor result, Tensor rows) => MatMul.Write(result, rows, Dense().t());

    /// <inheritdoc/>
    public void WriteBack(Tensor result, Tensor gradient) => MatMul.Write(result, gradient, Dense());

    private Tensor Fastest(Tensor input, Tensor? bias) =>
        MatMul.Multiply(input, isTransposed ? stored : stored.t(), bias);
}
