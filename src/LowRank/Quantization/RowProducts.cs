using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LowRank.Quantization;

/// <summary>Products of the rows of a packed matrix with a few vectors: each unit of 64 values is expanded once, into the first-level
/// cache, and used for all vectors.</summary>
internal static unsafe class RowProducts
{
    /// <summary>Values of a unit.</summary>
    public const int Unit = 64;

    private const int Lanes = 16;

    /// <summary>As <see cref="IPackedMatrix.Multiply"/>; the columns are a multiple of <see cref="Unit"/>.</summary>
    public static void Multiply<TUnits>(TUnits units, IPackedMatrix matrix, float* inputs, int count, float* outputs, long firstRow, long rows)
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
                for (int i = 0; i < count; i++) (Vector512.Load(sums + i * Lanes) + Product(wide, inputs + i * columns + column)).Store(sums + i * Lanes);
            }
            for (int i = 0; i < count; i++) outputs[i * all + row] = Vector512.Sum(Vector512.Load(sums + i * Lanes)) * units.RowScale(row);
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

    // The sixteen lanes are summed at a row's end. Two chains, so that a sum does not wait for the one before.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Product(float* a, float* b)
    {
        Vector512<float> even = Vector512.Load(a) * Vector512.Load(b), odd = Vector512.Load(a + 16) * Vector512.Load(b + 16);
        even = Vector512.MultiplyAddEstimate(Vector512.Load(a + 32), Vector512.Load(b + 32), even);
        odd = Vector512.MultiplyAddEstimate(Vector512.Load(a + 48), Vector512.Load(b + 48), odd);
        return even + odd;
    }
}
