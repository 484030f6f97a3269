using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>Products of vectors with some rows of a packed matrix: a vector's results depend on no other vector.
/// </summary>
/// <remarks>Each dot product has its own accumulator, a vector that runs over the columns in order, as in
/// <see cref="ProductByRows{TWide, TVector}"/>. One or two vectors are multiplied one by one with rows that lie far
/// apart, because memory is fastest in a few long streams. A few more are multiplied eight at a time with values that
/// exist in registers alone, so that each is converted once for all eight. For many, as many rows are expanded as stay
/// in the second-level cache.</remarks>
internal static unsafe class PackedProduct
{
    /// <summary>The number of columns must be a multiple of this.</summary>
    public const int Unit = 64;

    private const int Group = 8;         // vectors of a tile
    private const int MostSingle = 2;    // vectors that are multiplied one by one
    private const int MostDepth = 768;   // columns at a time: a group's stay in the first-level cache
    private const int GroupRows = 128;   // of the matrix, for which a group's unfinished sums are kept
    private const int StripBytes = 256 * 1024;

    /// <summary>Number of floats that <see cref="Arrange"/> writes.</summary>
    public static long ArrangedSize(int count, long columns) =>
        columns * (IsGrouped(count) ? LinearProduct.Ceiling(count, Group) * Group : count);

    private static bool IsGrouped(int count) => count is > MostSingle and <= LinearProduct.StreamedRows;

    /// <summary>Puts vectors into the order in which <see cref="IPackedMatrix.Multiply"/> takes them: where they
    /// are multiplied eight at a time, groups of eight, the last filled with zeros, in which 64 values of each vector
    /// lie side by side.</summary>
    /// <param name="matrix">Gives the order of 64 values.</param>
    /// <param name="from">The vectors, [count, columns].</param>
    /// <param name="count">Number of vectors.</param>
    /// <param name="to">Receives <see cref="ArrangedSize"/> values.</param>
    public static void Arrange(IPackedMatrix matrix, float* from, int count, float* to)
    {
        long columns = matrix.Columns;
        int group = IsGrouped(count) ? Group : 1, groups = LinearProduct.Ceiling(count, group);
        ProcessorWork.Split(groups, grain: 1, work: count * columns, (first, some) =>
        {
            for (long row = first * group; row < (first + some) * group; row++)
            {
                float* target = to + row / group * group * columns + row % group * Unit;
                for (long column = 0; column < columns; column += Unit, target += group * Unit)
                    if (row < count) matrix.Arrange(from + row * columns + column, target);
                    else new Span<float>(target, Unit).Clear();
            }
        });
    }

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
        (long columns, long all, long end) = (matrix.Columns, matrix.Rows, firstRow + rows);
        if (count <= MostSingle)
            for (int i = 0; i < count; i++)
                OneVector<TUnits, TWide, TVector>(
                    units, inputs + i * columns, outputs + i * all, firstRow, rows, columns);
        else if (!IsGrouped(count))
            Strips<TUnits, TWide, TVector>(units, matrix, inputs, count, outputs, firstRow, rows);
        else
            for (long row = firstRow; row < end; row += GroupRows)
                for (int i = 0; i < count; i += Group)
                    EightVectors<TUnits, TWide, TVector>(units, inputs + i * columns, Math.Min(Group, count - i),
                        outputs + i * all, all, row, (int)Math.Min(GroupRows, end - row), (int)columns);
        for (long i = 0; i < count; i++)
            for (long row = firstRow; row < end; row++) outputs[i * all + row] *= units.RowScale(row);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneVector<TUnits, TWide, TVector>(
        TUnits units, float* x, float* outputs, long firstRow, long rows, long columns)
        where TUnits : struct, IUnits
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        const int Streams = 4;
        long gap = rows / Streams, apart = gap * columns;
        for (long row = firstRow; row < firstRow + gap; row++)
        {
            TVector s0 = default, s1 = default, s2 = default, s3 = default;
            long at = row * columns;
            for (long column = 0; column < columns; column += Unit, at += Unit)
            {
                s0 = Add<TUnits, TWide, TVector>(units, at, x + column, s0);
                s1 = Add<TUnits, TWide, TVector>(units, at + apart, x + column, s1);
                s2 = Add<TUnits, TWide, TVector>(units, at + 2 * apart, x + column, s2);
                s3 = Add<TUnits, TWide, TVector>(units, at + 3 * apart, x + column, s3);
            }
            Vector128<float> sums = TWide.SumFour(s0, s1, s2, s3);
            for (int i = 0; i < Streams; i++) outputs[row + i * gap] = sums[i];
        }
        for (long row = firstRow + Streams * gap; row < firstRow + rows; row++)
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
        for (int i = 0; i < Unit; i += 4 * TWide.Count)
        {
            units.Decode<TWide, TVector>(at, i, scale, out TVector a, out TVector b, out TVector c, out TVector d);
            sum = Add<TWide, TVector>(x + i, a, b, c, d, sum);
        }
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Add<TWide, TVector>(float* x, TVector a, TVector b, TVector c, TVector d, TVector sum)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        sum = TWide.MultiplyAdd(a, TWide.Load(x), sum);
        sum = TWide.MultiplyAdd(b, TWide.Load(x + TWide.Count), sum);
        sum = TWide.MultiplyAdd(c, TWide.Load(x + 2 * TWide.Count), sum);
        return TWide.MultiplyAdd(d, TWide.Load(x + 3 * TWide.Count), sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EightVectors<TUnits, TWide, TVector>(TUnits units, float* x, int count, float* outputs,
        long stride, long firstRow, int rows, int columns)
        where TUnits : struct, IUnits
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        int slices = LinearProduct.Ceiling(columns, MostDepth),
            deep = LinearProduct.Ceiling(columns, slices * Unit) * Unit;
        float* sums = ScratchMemory.Floats(Group * TWide.Count * GroupRows);
        for (int column = 0; column < columns; column += deep)
            for (int i = 0; i < rows; i++)
            {
                float* own = sums + i * Group * TWide.Count;
                int depth = Math.Min(deep, columns - column);
                Tile<TUnits, TWide, TVector>(
                    units, x + Group * column, (firstRow + i) * columns + column, columns, depth, own, column > 0);
                if (column + depth == columns)
                    Finish<TWide, TVector>(own, outputs + firstRow + i, stride, count);
            }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile<TUnits, TWide, TVector>(
        TUnits units, float* x, long at, int columns, int depth, float* sums, bool goesOn)
        where TUnits : struct, IUnits
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector s0 = default, s1 = default, s2 = default, s3 = default;
        TVector s4 = default, s5 = default, s6 = default, s7 = default;
        if (goesOn)
        {
            (s0, s1) = (TWide.Load(sums), TWide.Load(sums + TWide.Count));
            (s2, s3) = (TWide.Load(sums + 2 * TWide.Count), TWide.Load(sums + 3 * TWide.Count));
            (s4, s5) = (TWide.Load(sums + 4 * TWide.Count), TWide.Load(sums + 5 * TWide.Count));
            (s6, s7) = (TWide.Load(sums + 6 * TWide.Count), TWide.Load(sums + 7 * TWide.Count));
        }
        for (long end = at + depth; at < end; at += Unit, x += (Group - 1) * Unit)
        {
            units.Fetch(at + columns); // the next row: computing takes longer than the processor looks ahead
            TVector scale = units.Scale<TWide, TVector>(at);
            for (int i = 0; i < Unit; i += 4 * TWide.Count, x += 4 * TWide.Count)
            {
                units.Decode<TWide, TVector>(at, i, scale, out TVector a, out TVector b, out TVector c, out TVector d);
                s0 = Add<TWide, TVector>(x, a, b, c, d, s0);
                s1 = Add<TWide, TVector>(x + Unit, a, b, c, d, s1);
                s2 = Add<TWide, TVector>(x + 2 * Unit, a, b, c, d, s2);
                s3 = Add<TWide, TVector>(x + 3 * Unit, a, b, c, d, s3);
                s4 = Add<TWide, TVector>(x + 4 * Unit, a, b, c, d, s4);
                s5 = Add<TWide, TVector>(x + 5 * Unit, a, b, c, d, s5);
                s6 = Add<TWide, TVector>(x + 6 * Unit, a, b, c, d, s6);
                s7 = Add<TWide, TVector>(x + 7 * Unit, a, b, c, d, s7);
            }
        }
        TWide.Store(sums, s0);
        TWide.Store(sums + TWide.Count, s1);
        TWide.Store(sums + 2 * TWide.Count, s2);
        TWide.Store(sums + 3 * TWide.Count, s3);
        TWide.Store(sums + 4 * TWide.Count, s4);
        TWide.Store(sums + 5 * TWide.Count, s5);
        TWide.Store(sums + 6 * TWide.Count, s6);
        TWide.Store(sums + 7 * TWide.Count, s7);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Finish<TWide, TVector>(float* sums, float* outputs, long stride, int count)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        for (int i = 0; i < count; i += 4, sums += 4 * TWide.Count)
        {
            Vector128<float> four = TWide.SumFour(TWide.Load(sums), TWide.Load(sums + TWide.Count),
                TWide.Load(sums + 2 * TWide.Count), TWide.Load(sums + 3 * TWide.Count));
            for (int k = 0; k < Math.Min(4, count - i); k++) outputs[(i + k) * stride] = four[k];
        }
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
        for (long end = first + count; first < end; first += Unit)
        {
            TVector scale = units.Scale<TWide, TVector>(first);
            for (int i = 0; i < Unit; i += 4 * TWide.Count, to += 4 * TWide.Count)
            {
                units.Decode<TWide, TVector>(
                    first, i, scale, out TVector a, out TVector b, out TVector c, out TVector d);
                TWide.Store(to, a);
                TWide.Store(to + TWide.Count, b);
                TWide.Store(to + 2 * TWide.Count, c);
                TWide.Store(to + 3 * TWide.Count, d);
            }
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
    /// <summary>Converts four vectors of 64 values, in the order in which <see cref="IPackedMatrix.Arrange"/> puts
    /// those of an input.</summary>
    /// <param name="unit">Index of the first of the 64, which counts row by row.</param>
    /// <param name="first">The place of the first of the four vectors among the 64 values.</param>
    /// <param name="scale">From <see cref="Scale"/>.</param>
    /// <param name="a">The first vector.</param>
    /// <param name="b">The second.</param>
    /// <param name="c">The third.</param>
    /// <param name="d">The fourth.</param>
    void Decode<TWide, TVector>(
        long unit, int first, TVector scale, out TVector a, out TVector b, out TVector c, out TVector d)
        where TWide : struct, IWide<TVector>
        where TVector : struct;

    /// <summary>The factor of the 64 values from an index on, for <see cref="Decode"/>; without meaning in formats that
    /// have none.</summary>
    TVector Scale<TWide, TVector>(long first)
        where TWide : struct, IWide<TVector>
        where TVector : struct;

    /// <summary>Asks memory for the 64 values from an index on, which need not exist.</summary>
    void Fetch(long first);

    /// <summary>The factor of a row's sum of products.</summary>
    float RowScale(long row);
}
