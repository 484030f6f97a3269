using static TorchSharp.torch;

namespace LowRank.Adapters.Combining;

/// <summary>TIES (arXiv 2306.01708): the largest values of each, and of those the ones whose sign most have.</summary>
internal sealed class TiesMerge : ITensorMerge
{
    public string Name => "ties";

    public bool Prunes => true;

    public bool ElectsSigns => true;

    public Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineOptions options) =>
        SignElection.Merge([.. tensors.Select(tensor => Pruning.Largest(tensor, options.Density!.Value))], weights, options.SignByFrequency);
}
