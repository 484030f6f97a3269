using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>The upper half of a float32. Weights that the file stores this way stay mapped; others are rounded to
/// nearest.</summary>
internal sealed class BFloat16Format : IWeightFormat
{
    internal const string FormatName = "bfloat16";

    /// <inheritdoc/>
    public string Name => FormatName;

    /// <inheritdoc/>
    public double BytesPerWeight => 2;

    /// <inheritdoc/>
    public bool IsWritable => false;

    /// <inheritdoc/>
    public PackedWeight Pack(Tensor matrix, ExpansionBuffer buffer)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor half = matrix.detach().cpu().to(ScalarType.BFloat16).contiguous();
        // alias: contiguous may return the tensor itself, which the caller disposes of; the memory lives as long as
        // either.
        return new PackedWeight(new BFloat16Matrix(half.alias().DetachFromDisposeScope()), buffer);
    }
}

/// <summary>A matrix of bfloat16 values, which are float32's upper halves.</summary>
internal sealed unsafe class BFloat16Matrix : IPackedMatrix
{
    private const int Unit = PackedProduct.Unit;
    private const ushort NotANumber = 0x7fc0;

    private readonly Tensor values; // bfloat16 [rows, columns]
    private readonly ushort* packed;

    /// <summary>Takes ownership of the values.</summary>
    public BFloat16Matrix(Tensor values)
    {
        (this.values, Rows, Columns) = (values, values.shape[0], values.shape[1]);
        packed = (ushort*)NativeTensor.Address(values);
    }

    public string Format => BFloat16Format.FormatName;

    public long Rows { get; }

    public long Columns { get; }

    public long Bytes => values.numel() * sizeof(ushort);

    public Tensor Halves => values;

    public bool CanMultiply => Columns % Unit == 0;

    public void Expand(long first, long count, float* target) => Widen(packed + first, count, target);

    public void Multiply(float* inputs, int count, float* outputs, long firstRow, long rows) =>
        PackedProduct.Multiply(new Units(packed), this, inputs, count, outputs, firstRow, rows);

    public IReadOnlyList<KeyValuePair<string, Tensor>> Stored(string name, string original) =>
        [KeyValuePair.Create(name, values)];

    // A copy on the processor too, because a file that the values are mapped from may be closed first.
    public IDeviceMatrix CopyTo(Device device) =>
        new BFloat16DeviceMatrix(values.to(device, copy: true).DetachFromDisposeScope());

    public void Dispose() => values.Dispose();

    /// <summary>Rounds to the nearest bfloat16, to even where two are as near, as torch does.</summary>
    public static void Narrow(float* from, long count, ushort* to)
    {
        long at = 0;
        for (; at + 16 <= count; at += 16)
            Vector256.Narrow(Rounded(from + at), Rounded(from + at + 8)).Store(to + at);
        for (; at < count; at++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(from[at]);
            to[at] = float.IsNaN(from[at]) ? NotANumber : (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Rounded(float* from)
    {
        Vector256<float> value = Vector256.Load(from);
        Vector256<uint> bits = value.AsUInt32(),
            rounded = (bits + Vector256.Create(0x7fffu) + ((bits >> 16) & Vector256<uint>.One)) >> 16;
        return Vector256.ConditionalSelect(
            Vector256.Equals(value, value).AsUInt32(), rounded, Vector256.Create((uint)NotANumber));
    }

    private static void Widen(ushort* from, long count, float* to)
    {
        long at = 0;
        for (; at + 16 <= count; at += 16)
        {
            (Vector256<uint> low, Vector256<uint> high) = Vector256.Widen(Vector256.Load(from + at));
            (low << 16).AsSingle().Store(to + at);
            (high << 16).AsSingle().Store(to + at + 8);
        }
        for (; at < count; at++) to[at] = BitConverter.UInt32BitsToSingle((uint)from[at] << 16);
    }

    private readonly struct Units(ushort* packed) : IUnits
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Decode<TWide, TVector>(
            long unit, int first, TVector scale, out TVector a, out TVector b, out TVector c, out TVector d)
            where TWide : struct, IWide<TVector>
            where TVector : struct
        {
            ushort* from = packed + unit + first;
            (a, b) = (TWide.LoadBFloat16(from), TWide.LoadBFloat16(from + TWide.Count));
            (c, d) = (TWide.LoadBFloat16(from + 2 * TWide.Count), TWide.LoadBFloat16(from + 3 * TWide.Count));
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
            Sse.Prefetch0(packed + first + Unit / 2);
        }

        public float RowScale(long row) => 1;
    }
}

/// <summary>A matrix of bfloat16 values on a device.</summary>
/// <param name="values">bfloat16 [rows, columns]; takes ownership.</param>
internal sealed class BFloat16DeviceMatrix(Tensor values) : IDeviceMatrix
{
    public string Format => BFloat16Format.FormatName;

    public long Rows => values.shape[0];

    public long Columns => values.shape[1];

    public long Bytes => values.numel() * values.element_size();

    public Tensor Halves => values;

    public long RowAlignment => 1;

    public Tensor Expand(long first, long rows) => values.narrow(0, first, rows).to(ScalarType.Float32);

    public void Dispose() => values.Dispose();
}
