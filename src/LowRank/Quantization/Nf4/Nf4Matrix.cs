using LowRank.Tensors.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>A matrix in NF4.</summary>
internal sealed unsafe class Nf4Matrix : IPackedMatrix
{
    private const int Unit = 64; // values that the kernel expands at once

    private readonly Tensor codes; // uint8 [⌈n / 2⌉, 1]
    private readonly byte* packed;
    private readonly BlockScales scales;

    /// <summary>Takes over codes and scales.</summary>
    public Nf4Matrix(Tensor codes, BlockScales scales, long rows, long columns)
    {
        (this.codes, this.scales, Rows, Columns) = (codes, scales, rows, columns);
        packed = (byte*)NativeTensor.Address(codes);
    }

    public string Format => Nf4Format.FormatName;

    public long Rows { get; }

    public long Columns { get; }

    public long Bytes => codes.numel() + scales.Bytes;

    public bool CanMultiply => Columns % Unit == 0 && scales.BlockSize % Unit == 0;

    public void Expand(long first, long count, float* target)
    {
        long end = first + count, at = first;
        int block = scales.BlockSize;
        for (; at < end && at % Unit != 0; at++) target[at - first] = Nf4Kernel.Level(packed, at) * scales[at / block];
        if (block % Unit == 0)
            for (; at + Unit <= end; at += Unit) Nf4Kernel.Expand64(packed + at / 2, scales[at / block], target + (at - first));
        else
            for (; at + block <= end; at += block) Nf4Kernel.ExpandAny(packed + at / 2, block, scales[at / block], target + (at - first));
        for (; at < end; at++) target[at - first] = Nf4Kernel.Level(packed, at) * scales[at / block];
    }

    public void Multiply(float* inputs, int count, float* outputs, long firstRow, long rows)
    {
        float* levels = stackalloc float[Unit];
        double* sums = stackalloc double[PackedWeight.MostVectors];
        for (long row = firstRow; row < firstRow + rows; row++)
        {
            for (int i = 0; i < count; i++) sums[i] = 0;
            long start = row * Columns;
            for (long column = 0; column < Columns; column += Unit)
            {
                Nf4Kernel.Expand64(packed + (start + column) / 2, scales[(start + column) / scales.BlockSize], levels);
                for (int i = 0; i < count; i++) sums[i] += VectorProduct.Of64(levels, inputs + i * Columns + column);
            }
            for (int i = 0; i < count; i++) outputs[i * Rows + row] = (float)sums[i];
        }
    }

    public IReadOnlyList<KeyValuePair<string, Tensor>> Stored(string name, string original) =>
    [
        KeyValuePair.Create(name, codes),
        .. scales.Stored(name),
        KeyValuePair.Create(name + ".quant_map", tensor(Nf4.Table)),
        KeyValuePair.Create(name + Nf4State.Key, new Nf4State(scales.BlockSize, original, [Rows, Columns],
            scales.IsNested ? scales.NestedBlockSize : null, scales.IsNested ? scales.Offset : null).ToTensor()),
    ];

    public void Dispose()
    {
        codes.Dispose();
        scales.Dispose();
    }
}
