using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Products of float32 matrices, by the faster of <see cref="BlockedProduct"/> and libtorch. Nothing is
/// recorded for gradients.</summary>
internal static unsafe class MatMul
{
    private const int FewestRows = 32;      // below, packing costs more than it gains
    private const long FewestTerms = 1L << 14;

    /// <summary>input · matrix (+ bias).</summary>
    /// <param name="input">[…, depth]</param>
    /// <param name="matrix">[depth, columns]; may be a transposed view.</param>
    /// <param name="bias">[columns], or null.</param>
    /// <returns>[…, columns], in the caller's dispose scope.</returns>
    public static Tensor Multiply(Tensor input, Tensor matrix, Tensor? bias = null)
    {
        using var scope = NewDisposeScope();
        long columns = matrix.shape[1];
        Tensor rows = Rows(input), result = StepMemory.EmptyBeside(rows, rows.shape[0], columns);
        if (Fits(rows, matrix)
            && (bias is null || (bias.dtype == ScalarType.Float32 && bias.is_contiguous() && bias.numel() == columns)))
            Own(rows, matrix, result, adds: false, bias);
        else if (bias is null) result.addmm_(rows, matrix, beta: 0, alpha: 1);
        else result.copy_(bias).addmm_(rows, matrix, 1, 1); // what addmm does, in room that the step's heap gives
        return result.view([.. input.shape[..^1], columns]).MoveToOuterDisposeScope();
    }

    /// <summary>result += input · matrix.</summary>
    /// <param name="result">[rows, columns], contiguous.</param>
    /// <param name="input">[rows, depth]</param>
    /// <param name="matrix">[depth, columns]; may be a transposed view.</param>
    public static void Add(Tensor result, Tensor input, Tensor matrix)
    {
        if (Fits(input, matrix)) Own(input, matrix, result, adds: true, null);
        else result.addmm_(input, matrix, 1, 1);
    }

    /// <summary>result = input · matrix, into existing memory.</summary>
    /// <param name="result">[rows, columns], contiguous.</param>
    /// <param name="input">[rows, depth]</param>
    /// <param name="matrix">[depth, columns]; may be a transposed view.</param>
    public static void Write(Tensor result, Tensor input, Tensor matrix)
    {
        if (Fits(input, matrix)) Own(input, matrix, result, adds: false, null);
        else result.addmm_(input, matrix, 0, 1);
    }

    /// <summary>Whether a product with this many rows is faster here than in libtorch.</summary>
    /// <param name="rows">Number of rows in the left matrix.</param>
    /// <param name="matrix">The right matrix.</param>
    public static bool Gains(long rows, Tensor matrix) =>
        BlockedProduct.IsFaster && rows >= FewestRows && matrix.numel() >= FewestTerms
        && matrix.dtype == ScalarType.Float32 && matrix.device_type == DeviceType.CPU
        && (matrix.stride(0) == 1 || matrix.stride(1) == 1)
        && Math.Max(rows, Math.Max(matrix.shape[0], matrix.shape[1])) < int.MaxValue;

    /// <summary>The rows of a tensor, contiguous.</summary>
    /// <param name="input">[…, width]</param>
    /// <returns>[rows, width]</returns>
    public static Tensor Rows(Tensor input) => input.reshape(-1, input.shape[^1]).contiguous();

    // otherwise torch reports the error
    private static bool Fits(Tensor input, Tensor matrix) => input.shape[1] == matrix.shape[0]
        && Gains(input.shape[0], matrix)
        && input.dtype == ScalarType.Float32 && input.device_type == DeviceType.CPU && input.stride(1) == 1;

    private static void Own(Tensor input, Tensor matrix, Tensor result, bool adds, Tensor? bias) =>
        BlockedProduct.Multiply(
        (float*)NativeTensor.Address(input), input.stride(0), (float*)NativeTensor.Address(matrix), matrix.stride(0),
            matrix.stride(1),
        (float*)NativeTensor.Address(result), result.stride(0), (int)input.shape[0], (int)input.shape[1],
            (int)matrix.shape[1], adds,
        bias is null ? null : (float*)NativeTensor.Address(bias));
}

/// <summary>A slice of a product with a packed right matrix, in parts for threads.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct GemmTask
{
    public float* A;
    public long AStride;
    public float* Panels;
    public float* C;
    public long CStride;
    public int Rows;
    public int Columns;
    public int Depth;
    public bool Adds;
    public float* Bias;
    public int RowParts;
    public int PartRows;
    public int PartPanels;

    /// <summary>Computes some rows of some panels. Neighbouring parts share their panels.</summary>
    public static void Part(void* shared, int part)
    {
        GemmTask task = *(GemmTask*)shared;
        task.Run(part % task.RowParts * task.PartRows, part / task.RowParts * task.PartPanels);
    }

    private readonly void Run(int firstRow, int firstPanel)
    {
        int rows = Math.Min(PartRows, Rows - firstRow);
        for (int panel = firstPanel; panel < firstPanel + PartPanels && panel * GemmPanel.Columns < Columns; panel++)
        {
            int column = panel * GemmPanel.Columns;
            GemmPanel.Multiply(
                A + firstRow * AStride, AStride, 1, Panels + (long)column * Depth,
                C + firstRow * CStride + column, CStride,
                rows, Math.Min(GemmPanel.Columns, Columns - column), Depth, Adds, Bias is null ? null
                : Bias + column);
        }
    }
}

/// <summary>A product of float32 matrices with AVX-512, blocked for the caches after Goto and van de Geijn (ACM TOMS
/// 34(3), 2008).</summary>
/// <remarks>libtorch multiplies with Intel's MKL, which does not use AVX-512 on AMD processors. On Intel processors MKL
/// uses it, and without AVX-512 there is nothing to gain: <see cref="IsFaster"/> makes the decision.</remarks>
internal static unsafe class BlockedProduct
{
    private const int MostDepth = 384;       // of a panel: 32 columns of it are the first-level cache
    private const int MostColumns = 3072;    // packed at a time: stays in the last-level cache
    private const int TaskRows = 96;         // of a task
    private const int TaskPanels = 8;        // of a task: stay in the second-level cache
    private const int PackedPanels = 8;      // packed by a thread at a time

    /// <summary>Whether this processor multiplies faster here than in libtorch.</summary>
    public static bool IsFaster { get; } = Avx512F.IsSupported && Avx512DQ.IsSupported && IsAmd();

    /// <summary>c (+)= a · b (+ bias).</summary>
    /// <param name="a">[rows, depth], with contiguous rows.</param>
    /// <param name="aStride">The stride between rows of a.</param>
    /// <param name="b">[depth, columns].</param>
    /// <param name="bRowStride">The stride between rows of b.</param>
    /// <param name="bColumnStride">The stride between columns of b; one of the two strides is 1.</param>
    /// <param name="c">[rows, columns], with contiguous rows.</param>
    /// <param name="cStride">The stride between rows of c.</param>
    /// <param name="rows">Number of rows in a and c.</param>
    /// <param name="depth">Number of columns in a and rows in b.</param>
    /// <param name="columns">Number of columns in b and c.</param>
    /// <param name="adds">Whether to add to the contents of c.</param>
    /// <param name="bias">[columns], added to each row; null for none.</param>
    public static void Multiply(float* a, long aStride, float* b, long bRowStride, long bColumnStride, float* c,
        long cStride, int rows, int depth, int columns, bool adds, float* bias)
    {
        int steps = (depth + MostDepth - 1) / MostDepth, deep = (depth + steps - 1) / steps;
        for (int column = 0; column < columns; column += MostColumns)
        {
            int wide = Math.Min(MostColumns, columns - column),
                panels = (wide + GemmPanel.Columns - 1) / GemmPanel.Columns;
            float* packed = ScratchMemory.Floats(panels * GemmPanel.Columns * deep);
            for (int k = 0; k < depth; k += deep)
            {
                int slice = Math.Min(deep, depth - k);
                var packing = new GemmPackingTask
                {
                    B = b + k * bRowStride + column * bColumnStride, RowStride = bRowStride,
                        ColumnStride = bColumnStride,
                    Panels = packed, Depth = slice, Columns = wide, PartPanels = PackedPanels,
                };
                Workers.Run((panels + PackedPanels - 1) / PackedPanels, &GemmPackingTask.Part, &packing);
                var task = new GemmTask
                {
                    A = a + k, AStride = aStride, Panels = packed, C = c + column, CStride = cStride, Rows = rows,
                        Columns = wide, Depth = slice,
                    Adds = adds || k > 0, Bias = bias is null || k > 0 ? null : bias + column,
                    RowParts = (rows + TaskRows - 1) / TaskRows, PartRows = TaskRows, PartPanels = TaskPanels,
                };
                int columnParts = (panels + TaskPanels - 1) / TaskPanels;
                Workers.Run(task.RowParts * columnParts, &GemmTask.Part, &task);
            }
        }
    }

    // The vendor's name in EBX, EDX, ECX of leaf 0: AuthenticAMD.
    private static bool IsAmd()
    {
        (int _, int ebx, int ecx, int edx) = X86Base.CpuId(0, 0);
        return ebx == 0x68747541 && edx == 0x69746e65 && ecx == 0x444d4163;
    }
}
