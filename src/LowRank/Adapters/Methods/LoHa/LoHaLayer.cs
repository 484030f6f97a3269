using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.LoHa;

/// <summary>LoHa on a linear layer: the change is s·(A₁B₁) ∘ (A₂B₂), of rank up to the square of each product's
/// (FedPara, arXiv 2108.06098, section 2.1).</summary>
/// <param name="first">A₁ [out, rank] and B₁ [rank, in], float32.</param>
/// <param name="second">A₂ and B₂, as the first.</param>
/// <param name="scale">s = alpha / rank.</param>
/// <param name="rankDropout">Share of the change's rows left out while training; the others are scaled up.</param>
/// <param name="moduleDropout">How often the whole change is left out while training.</param>
public sealed class LoHaLayer((Tensor A, Tensor B) first, (Tensor A, Tensor B) second, double scale, double rankDropout, double moduleDropout) : IAdapterLayer
{
    /// <inheritdoc/>
    public double Share { get; set; } = 1;

    /// <inheritdoc/>
    public bool IsAdditive => true;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
    [
        KeyValuePair.Create(".hada_w1_a", first.A), KeyValuePair.Create(".hada_w1_b", first.B),
        KeyValuePair.Create(".hada_w2_a", second.A), KeyValuePair.Create(".hada_w2_b", second.B),
    ];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, Func<Tensor, Tensor> inner, Generator? dropout)
    {
        if (RowDropout.SkipsModule(moduleDropout, dropout)) return inner(input);
        Tensor change = RowDropout.Apply(nn.functional.linear(input, Product()), rankDropout, rescales: true, dropout);
        return inner(input).add(change, scale * Share);
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        return (weight.add(Product(), scale * Share), bias);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in new[] { first.A, first.B, second.A, second.B }) tensor.Dispose();
    }

    private Tensor Product() => matmul(first.A, first.B) * matmul(second.A, second.B); // [out, in]
}
