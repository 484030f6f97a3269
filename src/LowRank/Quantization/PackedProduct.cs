using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>Products of vectors with some rows of a packed matrix, as <see cref="ProductByRows{TWide, TVector}"/>
/// computes them: a vector's results depend on no other vector.</summary>
/// <remarks>One vector is multiplied with values that exist in registers alone; for several, as many rows are expanded
/// as stay in the second-level cache.</remarks>
internal static unsafe class PackedProduct
{
    /// <summary>The number of columns must be a multiple of this.</summary>
    public const int Unit = 64;

    private const int StripBytes = 256 * 1024;

    /// <summary>Like <see cref="IPackedMatrix.Multiply"/>.</summary>
    public static void Multiply<TUnits>(
        TUnits units, IPackedMatrix matrix, float* inputs, int count, float* outputs, long firstRow, long rows)
        where TUnits : struct, IUnits
    {
        if (Vector512.IsHardwareAccelerated)
            Multiply<TUnits, Wide512, Vector512<float>>(units, matrix, inputs, count, outputs, firstRow, rows);
        else
            Multiply<TUnits, Wide256, Vector256<float>>(units, matrix, inputs, count, outputs, firstRow, rows);
    }

    private static void Multiply<TUnits, TWide, TVector>(
        TUnits units, IPackedMatrix matrix, float* inputs, int count, float* outputs, long firstRow, long rows)
        where TUnits : struct, IUnits
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        if (count == 1) OneVector<TUnits, TWide, TVector>(units, inputs, outputs, firstRow, rows, matrix.Columns);
        else Strips<TUnits, TWide, TVector>(units, matrix, inputs, count, outputs, firstRow, rows);
        for (long i = 0, all = matrix.Rows; i < count; i++)
            for (long row = firstRow; row < firstRow + rows; row++) outputs[i * all + row] *= units.RowScale(row);
    }

    // Rows that lie far apart are read side by side: memory is fastest in a few long streams.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneVector<TUnits, TWide, TVector>(
        TUnits units, float* x, float* outputs, long firstRow, long rows, long columns)
        where TUnits : struct, IUnits
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        int streams = units.TakesMuchDecoding ? 2 : 4;
        long gap = rows / streams, apart = gap * columns;
        for (long row = firstRow; row < firstRow + gap; row++)
        {
            TVector s0 = default, s1 = default, s2 = default, s3 = default;
            long at = row * columns;
            if (units.TakesMuchDecoding)
                for (long column = 0; column < columns; column += Unit, at += Unit)
                {
                    s0 = Add<TUnits, TWide, TVector>(units, at, x + column, s0);
                    s1 = Add<TUnits, TWide, TVector>(units, at + apart, x + column, s1);
                }
            else
                for (long column = 0; column < columns; column += Unit, at += Unit)
                {
                    s0 = Add<TUnits, TWide, TVector>(units, at, x + column, s0);
                    s1 = Add<TUnits, TWide, TVector>(units, at + apart, x + column, s1);
                    s2 = Add<TUnits, TWide, TVector>(units, at + 2 * apart, x + column, s2);
                    s3 = Add<TUnits, TWide, TVector>(units, at + 3 * apart, x + column, s3);
                }
            Vector128<float> sums = TWide.SumFour(s0, s1, s2, s3);
            for (int i = 0; i < streams; i++) outputs[row + i * gap] = sums[i];
        }
        for (long row = firstRow + streams * gap; row < firstRow + rows; row++)
        {
            TVector sum = default;
            for (long column = 0; column < columns; column += Unit)
                sum = Add<TUnits, TWide, TVector>(units, row * columns + column, x + column, sum);
            outputs[row] = TWide.SumFour(sum, sum, sum, sum).ToScalar();
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Add<TUnits, TWide, TVector>(TUnits units, long at, float* x, TVector sum)
        where TUnits : struct, IUnits
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector scale = units.Scale<TWide, TVector>(at);
        for (int i = 0; i < Unit; i += 4 * TWide.Count, x += 4 * TWide.Count)
        {
            units.Decode<TWide, TVector>(at + i, scale, out TVector a, out TVector b, out TVector c, out TVector d);
            sum = TWide.MultiplyAdd(TWide.Load(x), a, sum);
            sum = TWide.MultiplyAdd(TWide.Load(x + TWide.Count), b, sum);
            sum = TWide.MultiplyAdd(TWide.Load(x + 2 * TWide.Count), c, sum);
            sum = TWide.MultiplyAdd(TWide.Load(x + 3 * TWide.Count), d, sum);
        }
        return sum;
    }

    private static void Strips<TUnits, TWide, TVector>(
        TUnits units, IPackedMatrix matrix, float* inputs, int count, float* outputs, long firstRow, long rows)
        where TUnits : struct, IUnits
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        int columns = (int)matrix.Columns,
            most = (int)Math.Min(rows, Math.Max(1, StripBytes / (columns * sizeof(float)))),
            sums = ProductByRows<TWide, TVector>.ScratchSize(columns, most);
        float* scratch = ScratchMemory.Floats(sums + most * columns), strip = scratch + sums;
        for (long row = firstRow; row < firstRow + rows; row += most)
        {
            int here = (int)Math.Min(most, firstRow + rows - row);
            Expand<TUnits, TWide, TVector>(units, row * columns, here * columns, strip);
            ProductByRows<TWide, TVector>.Multiply(new RowProduct
            {
                Input = inputs, Weight = strip, Output = outputs + row, Stride = matrix.Rows, Rows = count,
                Inputs = columns, Outputs = here, Scratch = scratch,
            });
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Expand<TUnits, TWide, TVector>(TUnits units, long first, int count, float* to)
        where TUnits : struct, IUnits
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        for (int i = 0; i < count; i += 4 * TWide.Count)
        {
            TVector scale = units.Scale<TWide, TVector>(first + i);
            units.Decode<TWide, TVector>(first + i, scale, out TVector a, out TVector b, out TVector c, out TVector d);
            TWide.Store(to + i, a);
            TWide.Store(to + i + TWide.Count, b);
            TWide.Store(to + i + 2 * TWide.Count, c);
            TWide.Store(to + i + 3 * TWide.Count, d);
        }
    }
}

/// <summary>Splits work among torch's compute threads.</summary>
internal static class ProcessorWork
{
    private const long Least = 1 << 16;      // below so many values a second thread costs more than it saves
    private const int PartsPerThread = 4;    // threads that come late leave parts to the others

    /// <summary>Processes parts of [0, count), each starting at a multiple of the grain.</summary>
    /// <param name="count">The total length.</param>
    /// <param name="grain">The length of every part except the last is a multiple of this.</param>
    /// <param name="work">Number of values touched, to decide whether threads are worthwhile.</param>
    /// <param name="part">Receives the start and the length of the part. Must not throw.</param>
    public static void Split(long count, long grain, long work, Action<long, long> part)
    {
        long pieces = work < Least || Workers.Count == 1 ? 1
            : Math.Min((long)PartsPerThread * Workers.Count, (count + grain - 1) / grain);
        if (pieces <= 1)
        {
            part(0, count);
            return;
        }
        long length = ((count + pieces - 1) / pieces + grain - 1) / grain * grain;
        Workers.Run((int)((count + length - 1) / length),
            number => part(number * length, Math.Min(length, count - number * length)));
    }
}

/// <summary>The memory in which the packed matrices of a model are expanded, one at a time.</summary>
/// <remarks>Belongs to the thread that owns the model. Two simultaneous uses are rejected, because the second would
/// overwrite the first.</remarks>
public sealed unsafe class ExpansionBuffer : IDisposable
{
    private Tensor? memory; // float32
    private int isBusy;

    /// <summary>Creates the buffer for the packed weights of a model, each of which frees its memory when disposed
    /// of.</summary>
    /// <param name="compute">How products with them are computed.</param>
    internal static ExpansionBuffer ForModel(ComputeType compute = ComputeType.Float32) => new() { Compute = compute };

    /// <summary>How products with the weights that share the buffer are computed.</summary>
    internal ComputeType Compute { get; private init; }

    /// <summary>The current size in values.</summary>
    public long Capacity => memory?.numel() ?? 0;

    /// <summary>Lends the memory until <see cref="Return"/>.</summary>
    /// <param name="values">Number of float32 values needed.</param>
    /// <param name="address">The address of the first one.</param>
    /// <returns>A flat tensor over them, which the buffer owns.</returns>
    internal Tensor Lend(long values, out float* address)
    {
        if (Interlocked.Exchange(ref isBusy, 1) == 1)
            throw new InvalidOperationException(
                "Two threads compute with one quantised model at the same time; give each a model of its own.");
        if (memory is null || memory.numel() < values)
        {
            memory?.Dispose();
            memory = empty(values).DetachFromDisposeScope();
        }
        address = (float*)NativeTensor.Address(memory);
        return memory;
    }

    internal void Return() => Volatile.Write(ref isBusy, 0);

    /// <summary>Frees the memory; a later use allocates it again.</summary>
    public void Dispose()
    {
        memory?.Dispose();
        memory = null;
    }
}

/// <summary>Converts packed values to float32. A structure, so that it is inlined into the calling loop.</summary>
internal interface IUnits
{
    /// <summary>Converts four vectors of values from an index on, which counts row by row and is a multiple of their
    /// number. They come in the order in which <see cref="IPackedMatrix.Arrange"/> puts those of an input.</summary>
    void Decode<TWide, TVector>(
        long first, TVector scale, out TVector a, out TVector b, out TVector c, out TVector d)
        where TWide : struct, IWide<TVector>
        where TVector : struct;

    /// <summary>The factor of the 64 values from an index on, for <see cref="Decode"/>; without meaning in formats that
    /// have none.</summary>
    TVector Scale<TWide, TVector>(long first)
        where TWide : struct, IWide<TVector>
        where TVector : struct;

    /// <summary>Whether decoding needs so many registers that fewer rows are computed at once.</summary>
    bool TakesMuchDecoding { get; }

    /// <summary>The factor of a row's sum of products.</summary>
    float RowScale(long row);
}
