using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Lora.Starts;

/// <summary>PiSSA (arXiv 2404.02948): the pair begins as the largest singular directions of W, divided by s.</summary>
internal sealed class PissaStart : ILoraStart
{
    public string Name => "pissa";

    public bool TakesFromBase => true;

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build) => build.Targets.ToDictionary(target => target.Path, target =>
    {
        AdapterSite site = build.Sites[target.Path];
        using var scope = NewDisposeScope(); // one layer's decomposition at a time
        using var noGradient = no_grad();
        Tensor matrix = site.Matrix;
        // Other devices decompose by another algorithm, good to four digits in float32; the part that is taken out of the base has to be
        // the same wherever the adapter is opened.
        (Tensor u, Tensor values, Tensor vh) = linalg.svd(matrix.device_type == DeviceType.CUDA ? matrix.to(ScalarType.Float64) : matrix, fullMatrices: false);
        return Pair(u.to(ScalarType.Float32), values.to(ScalarType.Float32), vh.to(ScalarType.Float32), target).MoveToOuterDisposeScope();
    });

    /// <summary>The leading directions as a pair: B = U√(S/s), A = √(S/s)Vᵀ.</summary>
    internal static LoraPair Pair(Tensor u, Tensor values, Tensor vh, LoraTarget target)
    {
        long rank = Math.Min(target.Rank, values.shape[0]);
        if (rank < target.Rank)
            throw new InputException($"{target.Path}: rank {target.Rank} is more than its weight can have, {rank}. Lower the rank, or give this module its own in rank_pattern.");
        Tensor root = values.narrow(0, 0, rank).div(target.Scale).sqrt();
        return new LoraPair(root.unsqueeze(1) * vh.narrow(0, 0, rank), u.narrow(1, 0, rank) * root);
    }
}
