using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>The two moments of AdamW: float32, or a byte per number (arXiv 2110.02861) except in small
/// weights.</summary>
internal sealed class AdamMoments : IDisposable
{
    /// <summary>Numbers of a weight below which its moments stay float32, as in bitsandbytes.</summary>
    public const long FewestPacked = 4096;

    private readonly string[] names;

    /// <summary>Allocates zeros.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="packs">Whether moments take a byte per number.</param>
    /// <exception cref="ArgumentException">The weights are not all float32 and on one device.</exception>
    public AdamMoments(IReadOnlyList<KeyValuePair<string, Tensor>> weights, bool packs)
    {
        names = [.. weights.Select(weight => weight.Key)];
        bool IsPacked(int index) => packs && weights[index].Value.numel() >= FewestPacked;
        Wide = [.. Enumerable.Range(0, names.Length).Where(index => !IsPacked(index))];
        Packed = [.. Enumerable.Range(0, names.Length).Where(IsPacked)];
        Tensor[] wide = [.. Wide.Select(index => weights[index].Value)],
            packed = [.. Packed.Select(index => weights[index].Value)];
        (Means, Squares) = (FlatTensor.Zeros(wide), FlatTensor.Zeros(wide));
        PackedMeans = new BlockwiseMoment(packed, DynamicMap.Signed);
        PackedSquares = new BlockwiseMoment(packed, DynamicMap.Unsigned);
    }

    /// <summary>The numbers of the weights whose moments are float32.</summary>
    public int[] Wide { get; }

    /// <summary>The mean gradients of <see cref="Wide"/>, in their order.</summary>
    public FlatTensor Means { get; }

    /// <summary>The mean squared gradients of <see cref="Wide"/>.</summary>
    public FlatTensor Squares { get; }

    /// <summary>The numbers of the weights whose moments take a byte per number.</summary>
    public int[] Packed { get; }

    /// <summary>The mean gradients of <see cref="Packed"/>, in their order.</summary>
    public BlockwiseMoment PackedMeans { get; }

    /// <summary>The mean squared gradients of <see cref="Packed"/>.</summary>
    public BlockwiseMoment PackedSquares { get; }

    /// <summary>The bytes that the moments of some weights take.</summary>
    /// <param name="numbers">The sizes of the weights.</param>
    /// <param name="packs">Whether moments take a byte per number.</param>
    public static long Bytes(IEnumerable<long> numbers, bool packs) => numbers.Sum(size => packs && size >= FewestPacked
        ? 2 * (size + (size + BlockwiseMoment.Block - 1) / BlockwiseMoment.Block * sizeof(float))
        : 2 * size * sizeof(float));

    /// <summary>The moments by name; this object keeps ownership of the tensors.</summary>
    public IReadOnlyList<KeyValuePair<string, Tensor>> State()
    {
        var parts = new KeyValuePair<string, Tensor>[names.Length][];
        for (int i = 0; i < Wide.Length; i++)
            parts[Wide[i]] =
            [
                KeyValuePair.Create(names[Wide[i]] + ".mean", Means.Parts[i]),
                KeyValuePair.Create(names[Wide[i]] + ".square", Squares.Parts[i]),
            ];
        for (int i = 0; i < Packed.Length; i++)
            parts[Packed[i]] =
            [
                KeyValuePair.Create(names[Packed[i]] + ".mean.codes", PackedMeans.Parts[i].Codes),
                KeyValuePair.Create(names[Packed[i]] + ".mean.scales", PackedMeans.Parts[i].Scales),
                KeyValuePair.Create(names[Packed[i]] + ".square.codes", PackedSquares.Parts[i].Codes),
                KeyValuePair.Create(names[Packed[i]] + ".square.scales", PackedSquares.Parts[i].Scales),
            ];
        return [.. parts.SelectMany(part => part)];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Means.Dispose();
        Squares.Dispose();
        PackedMeans.Dispose();
        PackedSquares.Dispose();
    }
}
