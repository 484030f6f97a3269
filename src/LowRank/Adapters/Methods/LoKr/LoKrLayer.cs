using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.LoKr;

/// <summary>LoKr on a linear layer: the change is s·W₁ ⊗ W₂ (KronA, arXiv 2212.10650, equation 5), either of them possibly
/// a product of low rank.</summary>
/// <remarks>The [out, in] product is never formed: with x as [i₁, i₂], (W₁ ⊗ W₂)x = W₁·x·W₂ᵀ.</remarks>
/// <param name="tensors">lokr_w1, or lokr_w1_a and lokr_w1_b, and the same of w2; float32, owned.</param>
/// <param name="scale">s = alpha / rank.</param>
/// <param name="rankDropout">Share of the change's rows left out while training.</param>
/// <param name="rescales">Whether the others are then scaled up.</param>
/// <param name="moduleDropout">How often the whole change is left out while training.</param>
public sealed class LoKrLayer(IReadOnlyDictionary<string, Tensor> tensors, double scale, double rankDropout, bool rescales, double moduleDropout) : IAdapterLayer
{
    /// <inheritdoc/>
    public double Share { get; set; } = 1;

    /// <inheritdoc/>
    public bool IsAdditive => true;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [.. tensors];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, Func<Tensor, Tensor> inner, Generator? dropout)
    {
        if (RowDropout.SkipsModule(moduleDropout, dropout)) return inner(input);
        Tensor first = Whole(".lokr_w1");
        long rows = Rows(".lokr_w2"), columns = Columns(".lokr_w2");
        Tensor grid = input.reshape(-1, first.shape[1], columns); // [tokens, i₁, i₂]
        Tensor mixed = tensors.TryGetValue(".lokr_w2", out Tensor? second) // [tokens, i₁, o₂]
            ? nn.functional.linear(grid, second)
            : nn.functional.linear(nn.functional.linear(grid, tensors[".lokr_w2_b"]), tensors[".lokr_w2_a"]);
        Tensor change = matmul(first, mixed).reshape([.. input.shape[..^1], first.shape[0] * rows]); // [tokens, o₁, o₂]
        return inner(input).add(RowDropout.Apply(change, rankDropout, rescales, dropout), scale * Share);
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        return (weight.add(kron(Whole(".lokr_w1").contiguous(), Whole(".lokr_w2").contiguous()), scale * Share), bias);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in tensors.Values) tensor.Dispose();
    }

    private Tensor Whole(string part) => tensors.TryGetValue(part, out Tensor? whole) ? whole : matmul(tensors[part + "_a"], tensors[part + "_b"]);

    private long Rows(string part) => (tensors.TryGetValue(part, out Tensor? whole) ? whole : tensors[part + "_a"]).shape[0];

    private long Columns(string part) => (tensors.TryGetValue(part, out Tensor? whole) ? whole : tensors[part + "_b"]).shape[1];
}
