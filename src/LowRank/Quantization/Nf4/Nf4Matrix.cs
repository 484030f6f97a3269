using System.Runtime.CompilerServices;
using LowRank.Tensors.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>A matrix in NF4.</summary>
internal sealed unsafe class Nf4Matrix : IPackedMatrix
{
    private const int Unit = RowProducts.Unit; // values that the kernel expands at once

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
        int block = scales.BlockSize, shift = scales.BlockShift;
        for (; at < end && at % Unit != 0; at++) target[at - first] = Nf4Kernel.Level(packed, at) * scales[at >> shift];
        if (block % Unit == 0)
            for (; at + Unit <= end; at += Unit) Nf4Kernel.Expand64(packed + at / 2, scales[at >> shift], target + (at - first));
        else
            for (; at + block <= end; at += block) Nf4Kernel.ExpandAny(packed + at / 2, block, scales[at >> shift], target + (at - first));
        for (; at < end; at++) target[at - first] = Nf4Kernel.Level(packed, at) * scales[at >> shift];
    }

    public void Multiply(float* inputs, int count, float* outputs, long firstRow, long rows) =>
        RowProducts.Multiply(new Units(packed, scales), this, inputs, count, outputs, firstRow, rows);

    public IReadOnlyList<KeyValuePair<string, Tensor>> Stored(string name, string original) =>
    [
        KeyValuePair.Create(name, codes),
        .. scales.Stored(name),
        KeyValuePair.Create(name + ".quant_map", tensor(Nf4.Table)),
        KeyValuePair.Create(name + Nf4State.Key, new Nf4State(scales.BlockSize, original, [Rows, Columns],
            scales.IsNested ? scales.NestedBlockSize : null, scales.IsNested ? scales.Offset : null).ToTensor()),
    ];

    public IDeviceMatrix CopyTo(Device device)
    {
        using var scope = NewDisposeScope();
        return new Nf4DeviceMatrix(codes.view(-1).to(device, copy: true).DetachFromDisposeScope(), scales.Expand().to(device).DetachFromDisposeScope(), scales.BlockSize, Rows, Columns);
    }

    public void Dispose()
    {
        codes.Dispose();
        scales.Dispose();
    }

    private readonly struct Units(byte* packed, BlockScales scales) : IUnits
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Expand(long first, float* target) => Nf4Kernel.Expand64(packed + first / 2, scales[first >> scales.BlockShift], target);

        public float RowScale(long row) => 1;
    }
}
