using static TorchSharp.torch;

namespace LowRank.Adapters.Combining;

/// <summary>The weighted sum of the largest values of each.</summary>
internal sealed class MagnitudePruneMerge : ITensorMerge
{
    public string Name => "magnitude_prune";

    public bool Prunes => true;

    public Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineOptions options) =>
        LinearMerge.Sum([.. tensors.Select(tensor => Pruning.Largest(tensor, options.Density!.Value))], weights);
}
