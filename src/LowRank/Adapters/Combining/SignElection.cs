using static TorchSharp.torch;

namespace LowRank.Adapters.Combining;

/// <summary>TIES's election and disjoint merge (arXiv 2306.01708, section 4): at each place the values of the winning sign are
/// averaged.</summary>
internal static class SignElection
{
    public static Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, bool byFrequency)
    {
        Tensor stacked = stack([.. tensors], 0), signs = stacked.sign();
        Tensor votes = (byFrequency ? signs : stacked).sum([0]);
        Tensor winners = where(votes >= 0, ones_like(votes), ones_like(votes).neg());
        Tensor agree = signs.eq(winners).to(ScalarType.Float32);
        Tensor weighted = stacked * tensor(weights.Select(weight => (float)weight).ToArray()).view([-1, .. Enumerable.Repeat(1L, tensors[0].shape.Length)]);
        return (weighted * agree).sum([0]) / agree.sum([0]).clamp_min(1);
    }
}
