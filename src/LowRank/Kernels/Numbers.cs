using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Numbers beside tensors: <c>x * Number(s)</c>, <c>x.Plus(y)</c>.</summary>
/// <remarks>TorchSharp passes a number to torch by the address of an object that only the garbage collector frees, and
/// lets go of the object before torch has read it: a collection at that moment replaces the number by what comes to lie
/// there, without an error. All its operators and methods that take plain numbers do so, and those that sum two tensors
/// (the hidden factor of the second). What is made here lives until its thread has made many more.</remarks>
internal static class Numbers
{
    private const int Kept = 64; // far more than the operands of one operation

    [ThreadStatic]
    private static Scalar?[]? numbers;

    [ThreadStatic]
    private static int next;

    /// <summary>A number as an operand; a whole one leaves whole tensors whole.</summary>
    public static Scalar Number(long value) => Keep(value.ToScalar());

    /// <summary>A number as an operand.</summary>
    public static Scalar Number(double value) => Keep(value.ToScalar());

    /// <summary>A truth value as an operand.</summary>
    public static Scalar Number(bool value) => Keep(value.ToScalar());

    /// <summary>x + y.</summary>
    public static Tensor Plus(this Tensor x, Tensor y) => x.add(y, Number(1));

    /// <summary>x + y; a whole y leaves whole tensors whole.</summary>
    public static Tensor Plus(this Tensor x, long y) => x.add(Number(y), Number(1));

    /// <summary>x + y.</summary>
    public static Tensor Plus(this Tensor x, double y) => x.add(Number(y), Number(1));

    /// <summary>x − y.</summary>
    public static Tensor Minus(double x, Tensor y) => y.negative().Plus(x);

    /// <summary>Numbers from <paramref name="start"/> to before <paramref name="stop"/>.</summary>
    public static Tensor Indices(
        long start, long stop, long step = 1, ScalarType type = ScalarType.Int64, Device? device = null) =>
        arange(Number(start), Number(stop), Number(step), type, device);

    private static Scalar Keep(Scalar number)
    {
        numbers ??= new Scalar?[Kept];
        numbers[next]?.Dispose();
        numbers[next] = number;
        next = (next + 1) % Kept;
        return number;
    }
}
