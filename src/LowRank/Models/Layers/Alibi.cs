using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Positions as biases on attention scores that grow with the key's position, by a slope for each head (ALiBi,
/// arXiv 2108.12409). The softmax sees only their differences, the distances.</summary>
/// <remarks>A bias becomes one more value of the key, which the query multiplies by a constant. So all of attention's
/// forms compute it, cached keys included, and every head needs its own keys.</remarks>
/// <param name="heads">Number of heads.</param>
/// <param name="dimension">Width of a head.</param>
/// <param name="isFalcon">Whether biases are rounded to bfloat16 and divided by √(head width), as Falcon's are.</param>
internal sealed class Alibi(int heads, int dimension, bool isFalcon)
{
    private readonly float[] slopes = [.. Slopes(heads)];

    /// <summary>The biases of positions.</summary>
    /// <param name="positions">Integers, [rows, new].</param>
    /// <returns>[rows, heads, new, 1], in the caller's dispose scope.</returns>
    public Tensor Biases(Tensor positions)
    {
        Tensor slope = tensor(slopes, device: positions.device).view(-1, 1, 1),
            at = positions.unsqueeze(1).unsqueeze(-1);
        return isFalcon ? (slope.to(ScalarType.BFloat16) * at).to(ScalarType.Float32) : slope * at;
    }

    /// <summary>Attends with biases.</summary>
    /// <param name="query">[batch, heads, new, dimension], like the two that follow.</param>
    /// <param name="key">The keys.</param>
    /// <param name="value">The values.</param>
    /// <param name="biases">As <see cref="Biases"/> gives them.</param>
    /// <param name="settings">How the layer attends.</param>
    /// <param name="attend">Attends without biases.</param>
    /// <returns>[batch, new, heads · dimension]</returns>
    public Tensor Attend(Tensor query, Tensor key, Tensor value, Tensor biases, AttentionSettings settings,
        Func<Tensor, Tensor, Tensor, AttentionSettings, Tensor> attend)
    {
        double scale = settings.Scale ?? 1 / Math.Sqrt(dimension);
        long[] shape = query.shape, one = [shape[0], heads, shape[2], 1];
        Tensor constant = full(one, Number(isFalcon ? 1 : 1 / scale), query.dtype, query.device);
        (Tensor keys, Tensor values) = WithBiases(key, value, biases);
        Tensor mixed = attend(cat([query, constant], -1), keys, values, settings with { Alibi = null, Scale = scale });
        return mixed.view(shape[0], shape[2], heads, dimension + 1).narrow(3, 0, dimension)
            .reshape(shape[0], shape[2], heads * dimension);
    }

    /// <summary>Keys with their biases, and values with a zero that no result keeps.</summary>
    /// <param name="key">[batch, heads, positions, dimension]</param>
    /// <param name="value">Same shape as the key.</param>
    /// <param name="biases">Of these positions.</param>
    public static (Tensor Keys, Tensor Values) WithBiases(Tensor key, Tensor value, Tensor biases)
    {
        long[] s = key.shape;
        return (cat([key, biases.expand(s[0], s[1], s[2], 1)], -1),
            cat([value, zeros([s[0], s[1], s[2], 1], value.dtype, value.device)], -1));
    }

    // 2^(-8i/n) for a power of two n; the heads beyond it take every other slope of twice as many.
    private static IEnumerable<float> Slopes(int heads)
    {
        int whole = 1 << (int)Math.Log2(heads);
        float first = (float)Math.Pow(2, -8.0 / whole), between = (float)Math.Pow(2, -4.0 / whole);
        return [
            .. Enumerable.Range(1, whole).Select(i => MathF.Pow(first, i)),
            .. Enumerable.Range(0, heads - whole).Select(i => MathF.Pow(between, 2 * i + 1))];
    }
}
