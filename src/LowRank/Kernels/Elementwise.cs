using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Runs an elementwise operation over tensors of one shape; gaps between rows do not affect the
/// result.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct Elementwise
{
    private const int Block = 4096; // numbers of a row, where no tensor has gaps
    private const int PartNumbers = 16384;
    private const int Most = 16;    // places of the widest vector

    private Operand a;
    private Operand b;
    private Operand c;
    private Operand first;
    private Operand second;
    private long total;
    private long rows;
    private long partRows;
    private int width;

    /// <summary>Whether an operation supports a tensor: float32 on the processor, a contiguous last axis, and equal
    /// strides between rows.</summary>
    public static bool Fits(Tensor tensor) =>
        tensor.device_type == TorchSharp.DeviceType.CPU && tensor.dtype == ScalarType.Float32 && RowStride(tensor) >= 0;

    /// <summary>Runs an operation. All tensors have the shape of <paramref name="a"/> and are supported.</summary>
    public static void Run<TOperation>(Tensor a, Tensor? b, Tensor? c, Tensor first, Tensor? second)
        where TOperation : struct, IElementwise
    {
        var work = new Elementwise { a = Of(a), b = Of(b), c = Of(c), first = Of(first), second = Of(second),
            total = a.numel(), width = (int)a.shape[^1] };
        int width = work.width;
        if (work.a.Follows(width) && work.b.Follows(width) && work.c.Follows(width) && work.first.Follows(width)
            && work.second.Follows(width))
            work.Join();
        work.rows = (work.total + work.width - 1) / work.width;
        work.partRows = Math.Max(1, PartNumbers / work.width);
        int parts = (int)((work.rows + work.partRows - 1) / work.partRows);
        if (Vector512.IsHardwareAccelerated) Workers.Run(parts, &Part<TOperation, Wide512, Vector512<float>>, &work);
        else Workers.Run(parts, &Part<TOperation, Wide256, Vector256<float>>, &work);
    }

    // Contiguous tensors are treated as one row, cut into blocks.
    private void Join()
    {
        width = Block;
        a = a.Every(Block);
        b = b.Every(Block);
        c = c.Every(Block);
        first = first.Every(Block);
        second = second.Every(Block);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Part<TOperation, TWide, TVector>(void* shared, int part)
        where TOperation : struct, IElementwise
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        ref Elementwise work = ref *(Elementwise*)shared;
        float* room = stackalloc float[5 * Most];
        long end = Math.Min((part + 1) * work.partRows, work.rows);
        for (long r = part * work.partRows; r < end; r++)
        {
            var row = new ElementRow(work.a.At(r), work.b.At(r), work.c.At(r), work.first.At(r), work.second.At(r));
            long count = Math.Min(work.width, work.total - r * work.width), i = 0;
            for (; i + TWide.Count <= count; i += TWide.Count) TOperation.At<TWide, TVector>(row, i);
            if (i < count) Rest<TOperation, TWide, TVector>(row, i, (int)(count - i), room);
        }
    }

    private static void Rest<TOperation, TWide, TVector>(in ElementRow row, long i, int count, float* room)
        where TOperation : struct, IElementwise
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        new Span<float>(room, 5 * Most).Clear();
        var padded = new ElementRow(room, room + Most, room + 2 * Most, room + 3 * Most, room + 4 * Most);
        Copy(row.A, i, padded.A, 0, count);
        Copy(row.B, i, padded.B, 0, count);
        Copy(row.C, i, padded.C, 0, count);
        TOperation.At<TWide, TVector>(padded, 0);
        Copy(padded.First, 0, row.First, i, count);
        Copy(padded.Second, 0, row.Second, i, count);
    }

    private static void Copy(float* from, long start, float* to, long target, int count)
    {
        if (from == null || to == null) return;
        for (int k = 0; k < count; k++) to[target + k] = from[start + k];
    }

    private static Operand Of(Tensor? tensor) => tensor is null ? default
        : new Operand((float*)NativeTensor.Address(tensor), RowStride(tensor));

    // The stride between rows; -1 if it is not the same for all rows.
    private static long RowStride(Tensor tensor)
    {
        long[] shape = tensor.shape, stride = tensor.stride();
        if (shape.Length == 0 || tensor.numel() == 0 || (stride[^1] != 1 && shape[^1] != 1)) return -1;
        long rows = 1, step = shape[^1];
        for (int axis = shape.Length - 2; axis >= 0; axis--)
        {
            if (shape[axis] == 1) continue;
            if (rows == 1) step = stride[axis];
            else if (stride[axis] != rows * step) return -1;
            rows *= shape[axis];
        }
        return step;
    }

    [StructLayout(LayoutKind.Auto)]
    private readonly struct Operand(float* start, long stride)
    {
        private readonly float* start = start;
        private readonly long stride = stride;

        public bool Follows(int width) => start == null || stride == width;

        public Operand Every(int numbers) => new(start, numbers);

        public float* At(long row) => start == null ? null : start + row * stride;
    }
}

/// <summary>An operation that computes each element from the elements at the same position.</summary>
internal unsafe interface IElementwise
{
    /// <summary>Computes one vector of elements.</summary>
    /// <param name="from">The addresses; those that the operation does not use are null.</param>
    /// <param name="i">The first position.</param>
    static abstract void At<TWide, TVector>(in ElementRow from, long i)
        where TWide : struct, IWide<TVector>
        where TVector : struct;
}

/// <summary>The addresses that an <see cref="IElementwise"/> reads and writes.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct ElementRow(float* a, float* b, float* c, float* first, float* second)
{
    /// <summary>The first input.</summary>
    public readonly float* A = a;

    /// <summary>The second input, or null.</summary>
    public readonly float* B = b;

    /// <summary>The third input, or null.</summary>
    public readonly float* C = c;

    /// <summary>The first output.</summary>
    public readonly float* First = first;

    /// <summary>The second output, or null.</summary>
    public readonly float* Second = second;
}
