using static TorchSharp.torch;

namespace LowRank.Adapters.Combining;

/// <summary>DARE (arXiv 2311.03099): values left out at random, the rest scaled up, and the weighted sum.</summary>
internal sealed class DareLinearMerge : ITensorMerge
{
    public string Name => "dare_linear";

    public bool Prunes => true;

    public bool IsRandom => true;

    public Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineOptions options) =>
        LinearMerge.Sum([.. tensors.Select(tensor => Pruning.AtRandom(tensor, options.Density!.Value, options.Random))], weights);
}
