using static TorchSharp.torch;

namespace LowRank.Adapters.Combining;

/// <summary>DARE (arXiv 2311.03099) before TIES's election of signs.</summary>
internal sealed class DareTiesMerge : ITensorMerge
{
    public string Name => "dare_ties";

    public bool Prunes => true;

    public bool ElectsSigns => true;

    public bool IsRandom => true;

    public Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineOptions options) =>
        SignElection.Merge([.. tensors.Select(tensor => Pruning.AtRandom(tensor, options.Density!.Value, options.Random))], weights, options.SignByFrequency);
}
