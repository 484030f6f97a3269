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
        ProductChoice.IsOwn && rows >= FewestRows && matrix.numel() >= FewestTerms
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
