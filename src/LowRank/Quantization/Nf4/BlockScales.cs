using System.Runtime.CompilerServices;
using LowRank.Tensors.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>The scale of each block of a quantised matrix: plain, or itself quantised to 8 bits.</summary>
internal sealed unsafe class BlockScales : IDisposable
{
    private readonly Tensor absmax;       // float32 [blocks]; quantised uint8 [blocks]
    private readonly Tensor? nested;      // float32 [⌈blocks / nested block⌉]
    private readonly float[]? map;        // what the 8-bit codes stand for
    private readonly float* values;       // the same, where the collector moves nothing
    private readonly Tensor? held;        // the map's memory
    private readonly float* plain;
    private readonly byte* codes;
    private readonly float* nestedScales;
    private readonly int nestedShift;     // the nested block's size is a power of two

    /// <summary>Plain scales.</summary>
    public BlockScales(Tensor absmax, int blockSize)
    {
        (this.absmax, BlockSize, BlockShift) = (absmax, blockSize, int.Log2(blockSize));
        plain = (float*)NativeTensor.Address(absmax);
    }

    /// <summary>Quantised scales: map[code] · nested + offset.</summary>
    public BlockScales(Tensor codes, Tensor nested, float[] map, float offset, int blockSize, int nestedBlockSize)
    {
        (absmax, this.nested, this.map, Offset, BlockSize, NestedBlockSize) = (codes, nested, map, offset, blockSize, nestedBlockSize);
        this.codes = (byte*)NativeTensor.Address(codes);
        nestedScales = (float*)NativeTensor.Address(nested);
        held = tensor(map).DetachFromDisposeScope();
        values = (float*)NativeTensor.Address(held);
        (BlockShift, nestedShift) = (int.Log2(blockSize), int.Log2(nestedBlockSize));
    }

    /// <summary>Values that share a scale.</summary>
    public int BlockSize { get; }

    /// <summary>The power of two that the block's size is.</summary>
    public int BlockShift { get; }

    /// <summary>Scales that share a scale of their own; 0 where they are plain.</summary>
    public int NestedBlockSize { get; }

    /// <summary>What is added to every scale after its expansion.</summary>
    public float Offset { get; }

    /// <summary>Whether the scales are quantised themselves.</summary>
    public bool IsNested => nested is not null;

    /// <summary>Bytes they take.</summary>
    public long Bytes => absmax.numel() * absmax.element_size() + (nested?.numel() ?? 0) * sizeof(float);

    /// <summary>The scale of a block.</summary>
    public float this[long block]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if (plain != null) return plain[block];
            float product = values[codes[block]] * nestedScales[block >> nestedShift]; // rounded before the sum, as bitsandbytes rounds
            return product + Offset;
        }
    }

    /// <summary>All scales in float32, [blocks], in the caller's dispose scope.</summary>
    public Tensor Expand()
    {
        var expanded = new float[absmax.numel()];
        for (int block = 0; block < expanded.Length; block++) expanded[block] = this[block];
        return tensor(expanded);
    }

    /// <summary>Quantises scales: their mean is taken off, the rest goes into the dynamic 8-bit type.</summary>
    public static BlockScales Quantize(float* scales, long blocks, int blockSize)
    {
        double sum = 0;
        for (long i = 0; i < blocks; i++) sum += scales[i];
        float offset = (float)(sum / blocks);
        const int Nested = Nf4.NestedBlockSize;
        Tensor codes = empty([blocks], ScalarType.Byte).DetachFromDisposeScope();
        Tensor largest = empty([(blocks + Nested - 1) / Nested]).DetachFromDisposeScope();
        byte* to = (byte*)NativeTensor.Address(codes);
        float* most = (float*)NativeTensor.Address(largest);
        float* rest = stackalloc float[Nested];
        for (long first = 0; first < blocks; first += Nested)
        {
            int length = (int)Math.Min(Nested, blocks - first);
            for (int i = 0; i < length; i++) rest[i] = scales[first + i] - offset;
            float size = Nf4.Largest(new ReadOnlySpan<float>(rest, length));
            if (length < Nested) size = Math.Max(size, 1e-38f);
            most[first / Nested] = size;
            Nf4.Nearest(rest, length, size, length == Nested, DynamicMap.Bounds, to + first);
        }
        return new BlockScales(codes, largest, DynamicMap.Values, offset, blockSize, Nested);
    }

    /// <summary>Its tensors as bitsandbytes stores them beside a weight.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> Stored(string name)
    {
        yield return KeyValuePair.Create(name + ".absmax", absmax);
        if (nested is null) yield break;
        yield return KeyValuePair.Create(name + ".nested_absmax", nested);
        yield return KeyValuePair.Create(name + ".nested_quant_map", tensor(map!));
    }

    public void Dispose()
    {
        absmax.Dispose();
        nested?.Dispose();
        held?.Dispose();
    }
}
