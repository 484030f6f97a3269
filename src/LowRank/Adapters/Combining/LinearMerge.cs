using static TorchSharp.torch;

namespace LowRank.Adapters.Combining;

/// <summary>The weighted sum (task arithmetic, arXiv 2212.04089).</summary>
internal sealed class LinearMerge : ITensorMerge
{
    public string Name => "linear";

    public bool Prunes => false;

    public Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineOptions options) => Sum(tensors, weights);

    /// <summary>Σ wᵢ·tᵢ</summary>
    public static Tensor Sum(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights)
    {
        Tensor sum = tensors[0] * weights[0];
        for (int i = 1; i < tensors.Count; i++) sum = sum.add(tensors[i], weights[i]);
        return sum;
    }
}
