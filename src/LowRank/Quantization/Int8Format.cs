using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>8-bit integers with a scale per output channel, as in bitsandbytes' 8-bit layers (arXiv 2208.07339): the
/// nearest of −127 … 127 times the row's largest absolute value over 127.</summary>
/// <remarks>bitsandbytes first rounds weights to float16; here they are quantised from the checkpoint's
/// values.</remarks>
internal sealed unsafe class Int8Format : IWeightFormat
{
    internal const string FormatName = "int8";

    /// <inheritdoc/>
    public string Name => FormatName;

    /// <inheritdoc/>
    public double BytesPerWeight => 1;

    /// <inheritdoc/>
    public bool IsWritable => true;

    /// <inheritdoc/>
    public PackedWeight Pack(Tensor matrix, ExpansionBuffer buffer)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor wide = matrix.detach().cpu().to(ScalarType.Float32).contiguous();
        long rows = wide.shape[0], columns = wide.shape[1];
        Tensor values = empty([rows, columns], ScalarType.Int8), largest = empty(rows);
        nint from = NativeTensor.Address(wide), to = NativeTensor.Address(values),
            scales = NativeTensor.Address(largest);
        ProcessorWork.Split(rows, 1, rows * columns, (first, count) =>
        {
            for (long row = first; row < first + count; row++)
                PackRow((float*)from + row * columns, columns, (sbyte*)to + row * columns, (float*)scales + row);
        });
        Nf4.RequireFinite((float*)scales, rows);
        return new PackedWeight(
            new Int8Matrix(values.DetachFromDisposeScope(), largest.DetachFromDisposeScope()), buffer);
    }

    private static void PackRow(float* values, long count, sbyte* target, float* largest)
    {
        float most = 0;
        for (long at = 0; at < count; at += int.MaxValue / 2)
            most = Math.Max(
                most, Nf4.Largest(new ReadOnlySpan<float>(values + at, (int)Math.Min(int.MaxValue / 2, count - at))));
        *largest = most;
        float factor = most > 0 ? 127 * (1 / most) : 0; // in two roundings, as torch divides a number by a tensor
        for (long i = 0; i < count; i++) target[i] = (sbyte)Math.Clamp(MathF.Round(values[i] * factor), -127, 127);
    }
}

/// <summary>A matrix of 8-bit integers with a scale per row.</summary>
internal sealed unsafe class Int8Matrix : IPackedMatrix
{
    private const int Unit = PackedProduct.Unit;
    private const float Step = 1 / 127f;

    private readonly Tensor values;  // int8 [rows, columns]
    private readonly Tensor largest; // float32 [rows]
    private readonly sbyte* packed;
    private readonly float* scales;

    /// <summary>Takes ownership of the values and the largest absolute value of each row.</summary>
    public Int8Matrix(Tensor values, Tensor largest)
    {
        (this.values, this.largest, Rows, Columns) = (values, largest, values.shape[0], values.shape[1]);
        packed = (sbyte*)NativeTensor.Address(values);
        scales = (float*)NativeTensor.Address(largest);
    }

    public string Format => Int8Format.FormatName;

    public long Rows { get; }

    public long Columns { get; }

    public long Bytes => values.numel() + largest.numel() * sizeof(float);

    public bool CanMultiply => Columns % Unit == 0;

    public void Expand(long first, long count, float* target)
    {
        long columns = Columns;
        for (long at = first; at < first + count;)
        {
            long row = at / columns, length = Math.Min((row + 1) * columns, first + count) - at;
            Widen(packed + at, length, scales[row] * Step, target + (at - first));
            at += length;
        }
    }

    public void Multiply(float* inputs, int count, float* outputs, long firstRow, long rows) =>
        PackedProduct.Multiply(new Units(packed, scales), this, inputs, count, outputs, firstRow, rows);

    /// <remarks>bitsandbytes names the scales after the module, not after the weight.</remarks>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Stored(string name, string original)
    {
        string module = name[..name.LastIndexOf('.')];
        return
        [
            KeyValuePair.Create(name, values),
            KeyValuePair.Create(module + ".SCB", largest),
            KeyValuePair.Create(module + ".weight_format", zeros([], ScalarType.Byte)), // 0: row by row
        ];
    }

    public IDeviceMatrix CopyTo(Device device)
    {
        using var scope = NewDisposeScope();
        return new Int8DeviceMatrix(
            values.to(device, copy: true).DetachFromDisposeScope(), largest.mul(Number(Step)).unsqueeze(1).to(device)
            .DetachFromDisposeScope());
    }

    public void Dispose()
    {
        values.Dispose();
        largest.Dispose();
    }

    private static void Widen(sbyte* from, long count, float scale, float* to)
    {
        long at = 0;
        for (; at + 16 <= count; at += 16) (Wide512.LoadInt8(from + at) * scale).Store(to + at);
        for (; at < count; at++) to[at] = from[at] * scale;
    }

    [StructLayout(LayoutKind.Auto)]
    private readonly struct Units(sbyte* packed, float* scales) : IUnits
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Decode<TWide, TVector>(
            long unit, int first, TVector scale, out TVector a, out TVector b, out TVector c, out TVector d)
            where TWide : struct, IWide<TVector>
            where TVector : struct
        {
            sbyte* from = packed + unit + first;
            (a, b) = (TWide.LoadInt8(from), TWide.LoadInt8(from + TWide.Count));
            (c, d) = (TWide.LoadInt8(from + 2 * TWide.Count), TWide.LoadInt8(from + 3 * TWide.Count));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Scale<TWide, TVector>(long first)
            where TWide : struct, IWide<TVector>
            where TVector : struct => default;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Fetch(long first)
        {
            if (!Sse.IsSupported) return;
            Sse.Prefetch0(packed + first);
        }

        public float RowScale(long row) => scales[row] * Step;
    }
}

/// <summary>A matrix of 8-bit integers with a scale per row, on a device.</summary>
/// <param name="values">int8 [rows, columns]; takes ownership.</param>
/// <param name="scales">The factor of each row, float32 [rows, 1]; takes ownership.</param>
internal sealed class Int8DeviceMatrix(Tensor values, Tensor scales) : IDeviceMatrix
{
    public string Format => Int8Format.FormatName;

    public long Rows => values.shape[0];

    public long Columns => values.shape[1];

    public long Bytes => values.numel() + scales.numel() * sizeof(float);

    public long RowAlignment => 1;

    public Tensor Expand(long first, long rows) =>
        values.narrow(0, first, rows).to(ScalarType.Float32).mul_(scales.narrow(0, first, rows));

    public void Dispose()
    {
        values.Dispose();
        scales.Dispose();
    }
}
