using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>NF4 with double quantisation: <see cref="Nf4"/>.</summary>
internal sealed class Nf4Format : IWeightFormat
{
    internal const string FormatName = "nf4";

    /// <inheritdoc/>
    public string Name => FormatName;

    /// <inheritdoc/>
    public double BytesPerWeight => 0.5 + 1.0 / Nf4.BlockSize + 4.0 / (Nf4.BlockSize * Nf4.NestedBlockSize);

    /// <inheritdoc/>
    public bool IsWritable => true;

    /// <inheritdoc/>
    public PackedWeight Pack(Tensor matrix, ExpansionBuffer buffer) => new(Nf4.Quantize(matrix), buffer);
}

/// <summary>A matrix in NF4.</summary>
internal sealed unsafe class Nf4Matrix : IPackedMatrix
{
    private const int Unit = 64; // values that the kernel expands at once

    private readonly Tensor codes; // uint8 [⌈n / 2⌉, 1]
    private readonly byte* packed;
    private readonly BlockScales scales;

    /// <summary>Takes ownership of the codes and scales.</summary>
    public Nf4Matrix(Tensor codes, BlockScales scales, long rows, long columns)
    {
        (this.codes, this.scales, Rows, Columns) = (codes, scales, rows, columns);
        packed = (byte*)NativeTensor.Address(codes);
    }

    public string Format => Nf4Format.FormatName;

    public long Rows { get; }

    public long Columns { get; }

    public long Bytes => codes.numel() + scales.Bytes;

    public bool CanMultiply => Columns % PackedProduct.Unit == 0 && scales.BlockSize % PackedProduct.Unit == 0;

    public void Expand(long first, long count, float* target)
    {
        long end = first + count, at = first;
        int block = scales.BlockSize, shift = scales.BlockShift;
        for (; at < end && at % Unit != 0; at++) target[at - first] = Nf4Kernel.Level(packed, at) * scales[at >> shift];
        if (block % Unit == 0)
            for (; at + Unit <= end; at += Unit)
                Nf4Kernel.Expand64(packed + at / 2, scales[at >> shift], target + (at - first));
        else
            for (; at + block <= end; at += block)
                Nf4Kernel.ExpandAny(packed + at / 2, block, scales[at >> shift], target + (at - first));
        for (; at < end; at++) target[at - first] = Nf4Kernel.Level(packed, at) * scales[at >> shift];
    }

    public void Multiply(float* inputs, int count, float* outputs, long firstRow, long rows) =>
        PackedProduct.Multiply(
            new Units(packed, scales, Nf4Kernel.Tables), this, inputs, count, outputs, firstRow, rows);

    public void Arrange(float* from, float* to) => Nf4Kernel.Arrange(from, to);

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
        return new Nf4DeviceMatrix(codes.view(-1).to(device, copy: true).DetachFromDisposeScope(),
            scales.Expand().to(device).DetachFromDisposeScope(), scales.BlockSize, Rows, Columns);
    }

    public void Dispose()
    {
        codes.Dispose();
        scales.Dispose();
    }

    // With pointers of its own, because a static field costs a check where a method is compiled once.
    [StructLayout(LayoutKind.Auto)]
    private readonly struct Units(byte* packed, BlockScales scales, byte* tables) : IUnits
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Decode<TWide, TVector>(
            long unit, int first, TVector scale, out TVector a, out TVector b, out TVector c, out TVector d)
            where TWide : struct, IWide<TVector>
            where TVector : struct
        {
            Nf4Kernel.Decode<TWide, TVector>(tables, packed + unit / 2, first, out a, out b, out c, out d);
            (a, b) = (TWide.Multiply(a, scale), TWide.Multiply(b, scale));
            (c, d) = (TWide.Multiply(c, scale), TWide.Multiply(d, scale));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Scale<TWide, TVector>(long first)
            where TWide : struct, IWide<TVector>
            where TVector : struct => TWide.Broadcast(scales[first >> scales.BlockShift]);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Fetch(long first)
        {
            if (Sse.IsSupported) Sse.Prefetch0(packed + first / 2);
        }

        public float RowScale(long row) => 1;
    }
}

/// <summary>A matrix in NF4 on a device. Its scales are plain there: 0.5625 bytes per weight.</summary>
internal sealed class Nf4DeviceMatrix : IDeviceMatrix
{
    private readonly Tensor codes;  // uint8 [⌈n / 2⌉]
    private readonly Tensor scales; // float32 [⌈n / block⌉]
    private readonly Tensor pairs;  // float32 [256, 2]: the two levels of each byte, that of its high half first
    private readonly int block;

    /// <summary>Takes ownership of the codes and scales.</summary>
    /// <param name="codes">Two values per byte, row after row, uint8 [⌈n / 2⌉].</param>
    /// <param name="scales">float32, one per block of values.</param>
    /// <param name="block">Number of values that share a scale, a power of two.</param>
    /// <param name="rows">Number of the layer's outputs.</param>
    /// <param name="columns">Number of the layer's inputs.</param>
    public Nf4DeviceMatrix(Tensor codes, Tensor scales, int block, long rows, long columns)
    {
        (this.codes, this.scales, this.block, Rows, Columns) = (codes, scales, block, rows, columns);
        using var scope = NewDisposeScope();
        float[] levels =
            [.. Enumerable.Range(0, 256).SelectMany(code => new[] { Nf4.Table[code >> 4], Nf4.Table[code & 15] })];
        pairs = tensor(levels, device: codes.device).view(256, 2).DetachFromDisposeScope();
    }

    public string Format => Nf4Format.FormatName;

    public long Rows { get; }

    public long Columns { get; }

    public long Bytes => codes.numel() + scales.numel() * sizeof(float);

    public long RowAlignment => block; // rows so many begin with a block, whatever their width

    public Tensor Expand(long first, long rows)
    {
        using var scope = NewDisposeScope();
        long start = first * Columns, count = rows * Columns, whole = count / block;
        Tensor levels = pairs.index_select(0, codes.narrow(0, start / 2, (count + 1) / 2).to(ScalarType.Int32)).view(
            -1).narrow(0, 0, count);
        levels.narrow(0, 0, whole * block).view(whole, block).mul_(scales.narrow(0, start / block, whole).unsqueeze(1));
        // the incomplete last block
        if (whole * block < count)
            levels.narrow(0, whole * block, count - whole * block).mul_(scales[start / block + whole]);
        return levels.view(rows, Columns).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        codes.Dispose();
        scales.Dispose();
        pairs.Dispose();
    }
}

/// <summary>The metadata that bitsandbytes stores with the tensors of an NF4 weight, as JSON in a tensor of
/// bytes.</summary>
/// <param name="BlockSize">Number of values that share a scale.</param>
/// <param name="Original">The original dtype, such as bfloat16.</param>
/// <param name="Shape">The matrix's shape, [out, in].</param>
/// <param name="NestedBlockSize">Number of scales that share a scale; null if they are plain.</param>
/// <param name="NestedOffset">Added to the scales; null if they are plain.</param>
internal sealed record Nf4State(
    int BlockSize, string Original, long[] Shape, int? NestedBlockSize, double? NestedOffset)
{
    /// <summary>The suffix after the weight's name.</summary>
    public const string Key = ".quant_state.bitsandbytes__nf4";

    /// <summary>Parses the JSON.</summary>
    /// <param name="bytes">uint8.</param>
    /// <param name="problem">What is wrong with it; null if nothing is.</param>
    public static unsafe Nf4State? Read(Tensor bytes, out string? problem)
    {
        try
        {
            string text = Encoding.UTF8.GetString((byte*)NativeTensor.Address(bytes), checked((int)bytes.numel()));
            JsonObject root = JsonNode.Parse(text)!.AsObject();
            var state = new Nf4State(root["blocksize"]!.GetValue<int>(), root["dtype"]!.GetValue<string>(),
                [.. root["shape"]!.AsArray().Select(size => size!.GetValue<long>())],
                root["nested_blocksize"]?.GetValue<int>(), root["nested_offset"]?.GetValue<double>());
            string type = root["quant_type"]?.GetValue<string>() ?? "missing";
            problem = type == "nf4" ? state.Problem() : $"quant_type is {type}, expected nf4";
            return problem is null ? state : null;
        }
        catch (Exception e)
            when (e is JsonException or InvalidOperationException or NullReferenceException or FormatException
            or OverflowException)
        {
            problem =
                "its bytes are not the JSON that bitsandbytes writes (quant_type, blocksize, dtype, shape, …): " +
                $"{e.Message}";
            return null;
        }
    }

    /// <summary>The JSON in the form of Python's json.dumps, as a tensor of bytes in the caller's dispose
    /// scope.</summary>
    public Tensor ToTensor()
    {
        var text = new StringBuilder(
            $$"""{"quant_type": "nf4", "blocksize": {{BlockSize}}, "dtype": "{{Original}}", "shape": [{{string.Join(", ", Shape)}}]""");
        if (NestedBlockSize is { } nested)
            text.Append(CultureInfo.InvariantCulture,
                $", \"nested_blocksize\": {nested}, \"nested_dtype\": \"float32\", \"nested_offset\": " +
                $"{NestedOffset:R}");
        return tensor(Encoding.UTF8.GetBytes(text.Append('}').ToString()), ScalarType.Byte);
    }

    private string? Problem()
    {
        if (BlockSize is < 32 or > 4096 || (BlockSize & (BlockSize - 1)) != 0)
            return $"blocksize is {BlockSize}, expected a power of two from 32 to 4096";
        if (Shape is not [> 0, > 0]) return $"shape is [{string.Join(", ", Shape)}], expected [out, in]";
        if (NestedBlockSize is null != NestedOffset is null)
            return "nested_blocksize and nested_offset belong together, found one of them";
        if (NestedBlockSize is { } nested && (nested < 1 || (nested & (nested - 1)) != 0))
            return $"nested_blocksize is {nested}, expected a power of two";
        return NestedOffset is { } offset && !float.IsFinite((float)offset)
            ? $"nested_offset is {offset}, expected a finite number" : null;
    }
}
