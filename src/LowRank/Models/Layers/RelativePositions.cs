using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>T5's position bias: a learned number for each head and bucket of distances, added to attention scores
/// (arXiv 1910.10683, section 2.1). Small distances have a bucket each, larger ones share logarithmically.</summary>
public sealed class RelativePositions
{
    private readonly Tensor table; // [buckets, heads]
    private readonly int maxDistance;
    private readonly bool bothWays;

    /// <summary>Takes the table [buckets, heads].</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="shape">The model's sizes.</param>
    /// <param name="bothWays">Whether later positions have buckets of their own, as in an encoder.</param>
    public RelativePositions(WeightLoader weights, string path, EncoderDecoderShape shape, bool bothWays)
    {
        table = weights.Take(path + ".weight", shape.DistanceBuckets, shape.Heads);
        (maxDistance, this.bothWays) = (shape.MaxDistance, bothWays);
    }

    /// <summary>The bias, [1, heads, queries, keys]; queries are the last of the keys' positions.</summary>
    public Tensor Bias(long queries, long keys)
    {
        Tensor query = arange(keys - queries, keys, ScalarType.Int64, table.device).unsqueeze(1);
        Tensor key = arange(0, keys, ScalarType.Int64, table.device).unsqueeze(0);
        Tensor buckets = Buckets(key - query);
        return table.index_select(0, buckets.view(-1)).view(queries, keys, -1).permute(2, 0, 1).unsqueeze(0);
    }

    private Tensor Buckets(Tensor distance)
    {
        long count = table.shape[0];
        Tensor buckets = zeros_like(distance);
        if (bothWays)
        {
            count /= 2;
            buckets = (distance > 0).to(ScalarType.Int64) * count;
            distance = distance.abs();
        }
        else
        {
            distance = distance.clamp_max(0).neg();
        }
        long exact = count / 2;
        Tensor logarithmic = (log(distance.to(ScalarType.Float32) / exact) / Math.Log((double)maxDistance / exact) * (count - exact))
            .nan_to_num(0, 0, 0).to(ScalarType.Int64) + exact; // distance 0 is -inf here and takes the exact branch
        return buckets + where(distance < exact, distance, logarithmic.clamp_max(count - 1));
    }
}
