using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>Products of a packed matrix's rows with a few vectors: each unit of 64 values is expanded once, into the L1
/// cache, and used for all vectors.</summary>
internal static unsafe class PackedGemv
{
    /// <summary>Number of values in a unit.</summary>
    public const int Unit = 64;

    private const int Lanes = 16;

    /// <summary>Like <see cref="IPackedMatrix.Multiply"/>; the number of columns is a multiple of
    /// <see cref="Unit"/>.</summary>
    public static void Multiply<TUnits>(
        TUnits units, IPackedMatrix matrix, float* inputs, int count, float* outputs, long firstRow, long rows)
        where TUnits : struct, IUnits
    {
        long columns = matrix.Columns, all = matrix.Rows;
        float* wide = stackalloc float[Unit];
        float* sums = stackalloc float[PackedWeight.MostVectors * Lanes];
        for (long row = firstRow; row < firstRow + rows; row++)
        {
            if (count == 1)
            {
                outputs[row] = One(units, row * columns, columns, inputs, wide) * units.RowScale(row);
                continue;
            }
            new Span<float>(sums, count * Lanes).Clear();
            for (long column = 0; column < columns; column += Unit)
            {
                units.Expand(row * columns + column, wide);
                for (int i = 0; i < count; i++)
                    (Vector512.Load(sums + i * Lanes) + Product(wide, inputs + i * columns + column))
                        .Store(sums + i * Lanes);
            }
            for (int i = 0; i < count; i++)
                outputs[i * all + row] = Vector512.Sum(Vector512.Load(sums + i * Lanes)) * units.RowScale(row);
        }
    }

    private static float One<TUnits>(TUnits units, long start, long columns, float* input, float* wide)
        where TUnits : struct, IUnits
    {
        Vector512<float> sum = Vector512<float>.Zero;
        for (long column = 0; column < columns; column += Unit)
        {
            units.Expand(start + column, wide);
            sum += Product(wide, input + column);
        }
        return Vector512.Sum(sum);
    }

    // The sixteen lanes are summed at the end of a row. Two chains, so that a sum need not wait for the previous one.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Product(float* a, float* b)
    {
        Vector512<float> even = Vector512.Load(a) * Vector512.Load(b),
            odd = Vector512.Load(a + 16) * Vector512.Load(b + 16);
        even = Vector512.MultiplyAddEstimate(Vector512.Load(a + 32), Vector512.Load(b + 32), even);
        odd = Vector512.MultiplyAddEstimate(Vector512.Load(a + 48), Vector512.Load(b + 48), odd);
        return even + odd;
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

/// <summary>Converts 64 packed values to float32. A structure, so that it is inlined into the calling loop.</summary>
internal unsafe interface IUnits
{
    /// <summary>Expands a unit.</summary>
    /// <param name="first">Index of the first value, row by row; a multiple of 64.</param>
    /// <param name="target">64 values.</param>
    void Expand(long first, float* target);

    /// <summary>The factor of a row's sum of products.</summary>
    float RowScale(long row);
}
