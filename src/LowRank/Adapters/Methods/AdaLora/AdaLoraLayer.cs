using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.AdaLora;

/// <summary>AdaLoRA on a linear layer: the change is s·B·diag(E)·A, a singular value decomposition in form, whose values E are
/// set to zero where they matter least (arXiv 2303.10512, equation 3).</summary>
/// <param name="a">A, [rank, in], float32.</param>
/// <param name="b">B, [out, rank].</param>
/// <param name="values">E, [rank, 1].</param>
/// <param name="scale">s.</param>
/// <param name="probability">Dropout on the input while training, in [0, 1).</param>
public sealed class AdaLoraLayer(Tensor a, Tensor b, Tensor values, double scale, double probability) : IAdapterLayer
{
    /// <summary>A, [rank, in].</summary>
    public Tensor A => a;

    /// <summary>B, [out, rank].</summary>
    public Tensor B => b;

    /// <summary>E, [rank, 1].</summary>
    public Tensor Values => values;

    /// <inheritdoc/>
    public double Share { get; set; } = 1;

    /// <inheritdoc/>
    public bool IsAdditive => true;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
        [KeyValuePair.Create(".lora_A", a), KeyValuePair.Create(".lora_B", b), KeyValuePair.Create(".lora_E", values)];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, Func<Tensor, Tensor> inner, Generator? dropout)
    {
        Tensor reduced = nn.functional.linear(Models.Layers.Dropout.Apply(input, probability, dropout), a * values);
        return inner(input).add(nn.functional.linear(reduced, b), scale * Share);
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        return (weight.add(matmul(b, a * values), scale * Share), bias);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        a.Dispose();
        b.Dispose();
        values.Dispose();
    }
}
