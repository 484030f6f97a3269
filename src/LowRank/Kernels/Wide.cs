using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LowRank.Kernels;

/// <summary>Arithmetic on float32 vectors of one width, so that a kernel is written once for all widths.</summary>
/// <typeparam name="TVector">The vector.</typeparam>
internal unsafe interface IWide<TVector>
    where TVector : struct
{
    /// <summary>Number of elements in a vector.</summary>
    static abstract int Count { get; }

    /// <summary>Whether there are 32 vector registers, as with AVX-512; otherwise 16.</summary>
    static abstract bool HasManyRegisters { get; }

    /// <summary>Loads a vector from memory.</summary>
    static abstract TVector Load(float* source);

    /// <summary>Loads a vector of bfloat16 values, which are float32's upper halves.</summary>
    static abstract TVector LoadBFloat16(ushort* source);

    /// <summary>Loads a vector of 8-bit integers.</summary>
    static abstract TVector LoadInt8(sbyte* source);

    /// <summary>Stores a vector to memory.</summary>
    static abstract void Store(float* target, TVector vector);

    /// <summary>Broadcasts one value to all elements.</summary>
    static abstract TVector Broadcast(float value);

    /// <summary>a · b.</summary>
    static abstract TVector Multiply(TVector a, TVector b);

    /// <summary>a − b.</summary>
    static abstract TVector Subtract(TVector a, TVector b);

    /// <summary>a ÷ b.</summary>
    static abstract TVector Divide(TVector a, TVector b);

    /// <summary>The elementwise maximum; NaN if either is NaN.</summary>
    static abstract TVector Max(TVector a, TVector b);

    /// <summary>The elementwise maximum, faster than <see cref="Max"/>; either of them if one is NaN.</summary>
    static abstract TVector Higher(TVector a, TVector b);

    /// <summary>Selects elements of <paramref name="then"/> where the chooser is at most 0, and of
    /// <paramref name="otherwise"/> where it is greater or NaN.</summary>
    static abstract TVector WhereAtMostZero(TVector chooser, TVector then, TVector otherwise);

    /// <summary>The elementwise exponential.</summary>
    static abstract TVector Exp(TVector exponent);

    /// <summary>Like <see cref="Exp"/> for elements of at most 0, several times as fast; 0 below e⁻⁸⁷.</summary>
    static abstract TVector ExpOfNegative(TVector exponent);

    /// <summary>The elementwise natural logarithm.</summary>
    static abstract TVector Log(TVector vector);

    /// <summary>Transposes a square block with as many rows and columns as a vector has elements.</summary>
    static abstract void Transpose(float* rows, long stride, float* target, long targetStride);

    /// <summary>a + b.</summary>
    static abstract TVector Add(TVector a, TVector b);

    /// <summary>a·b + c, rounded once if the processor supports it.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector c);

    /// <summary>a·b + c, rounded once on every processor.</summary>
    static abstract TVector FusedMultiplyAdd(TVector a, TVector b, TVector c);

    /// <summary>The elementwise square root, rounded correctly.</summary>
    static abstract TVector Sqrt(TVector vector);

    /// <summary>The sum of the elements.</summary>
    static abstract float Sum(TVector vector);

    /// <summary>The highest element; any of them if one is NaN.</summary>
    static abstract float Highest(TVector vector);

    /// <summary>The sums of the elements of four vectors, each added pair by pair, whatever the processor.</summary>
    static abstract Vector128<float> SumFour(TVector a, TVector b, TVector c, TVector d);
}

/// <summary>Vectors of 256 bits.</summary>
internal readonly unsafe struct Wide256 : IWide<Vector256<float>>
{
    public static int Count => Vector256<float>.Count;

    public static bool HasManyRegisters => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(float* source) => Vector256.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadBFloat16(ushort* source)
    {
        return Avx2.IsSupported ? (Avx2.ConvertToVector256Int32(source) << 16).AsSingle() : Halves(source);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadInt8(sbyte* source)
    {
        return Avx2.IsSupported ? Avx.ConvertToVector256Single(Avx2.ConvertToVector256Int32(source)) : Integers(source);
    }

    // Apart, so that they take no part of what is inlined into a kernel.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Vector256<float> Halves(ushort* source)
    {
        (Vector128<uint> low, Vector128<uint> high) = Vector128.Widen(Vector128.Load(source));
        return (Vector256.Create(low, high) << 16).AsSingle();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Vector256<float> Integers(sbyte* source)
    {
        Vector128<short> half = Vector128.WidenLower(Vector64.Load(source).ToVector128());
        (Vector128<int> low, Vector128<int> high) = Vector128.Widen(half);
        return Vector256.ConvertToSingle(Vector256.Create(low, high));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float* target, Vector256<float> vector) => vector.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Broadcast(float value) => Vector256.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Add(Vector256<float> a, Vector256<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> c) =>
        Vector256.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> FusedMultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> c) =>
        Vector256.FusedMultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Sqrt(Vector256<float> vector) => Vector256.Sqrt(vector);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Multiply(Vector256<float> a, Vector256<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Subtract(Vector256<float> a, Vector256<float> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Max(Vector256<float> a, Vector256<float> b) => Vector256.Max(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Higher(Vector256<float> a, Vector256<float> b) => Vector256.MaxNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> WhereAtMostZero(
        Vector256<float> chooser, Vector256<float> then, Vector256<float> otherwise) =>
        Vector256.ConditionalSelect(Vector256.LessThanOrEqual(chooser, Vector256<float>.Zero), then, otherwise);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Divide(Vector256<float> a, Vector256<float> b) => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Exp(Vector256<float> exponent) => Vector256.Exp(exponent);

    // 2ⁿ·eʳ with |r| at most half of ln 2, where a polynomial (Cephes' expf) is accurate to two units in the last
    // place. From -87.7 downwards n is -127, for which the power of 2 evaluates to 0.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ExpOfNegative(Vector256<float> exponent)
    {
        Vector256<float> x = Vector256.Max(exponent, Vector256.Create(-88f)),
            n = Vector256.Round(x * Vector256.Create(1.44269504f));
        Vector256<float> r = MultiplyAdd(n, Vector256.Create(-0.693359375f), x);
        r = MultiplyAdd(n, Vector256.Create(2.12194440e-4f), r);
        Vector256<float> p = MultiplyAdd(Vector256.Create(1.9875691500e-4f), r, Vector256.Create(1.3981999507e-3f));
        p = MultiplyAdd(p, r, Vector256.Create(8.3334519073e-3f));
        p = MultiplyAdd(p, r, Vector256.Create(4.1665795894e-2f));
        p = MultiplyAdd(p, r, Vector256.Create(1.6666665459e-1f));
        p = MultiplyAdd(p, r, Vector256.Create(5.0000001201e-1f));
        p = MultiplyAdd(p, r * r, r + Vector256.Create(1f));
        Vector256<float> power = ((Vector256.ConvertToInt32Native(n) + Vector256.Create(127)) << 23).AsSingle();
        return p * power;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Log(Vector256<float> vector) => Vector256.Log(vector);

    public static void Transpose(float* rows, long stride, float* target, long targetStride)
    {
        if (Avx.IsSupported) SmallTranspose.Eight(rows, stride, target, targetStride);
        else SmallTranspose.Plain(rows, stride, target, targetStride, Vector256<float>.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector256<float> vector) => Vector256.Sum(vector);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Highest(Vector256<float> vector)
    {
        Vector128<float> four = Vector128.MaxNative(vector.GetLower(), vector.GetUpper());
        Vector128<float> two = Vector128.MaxNative(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return Vector128.MaxNative(two, Vector128.Shuffle(two, Vector128.Create(1, 0, 3, 2))).ToScalar();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> SumFour(
        Vector256<float> a, Vector256<float> b, Vector256<float> c, Vector256<float> d)
    {
        if (!Avx.IsSupported) return Vector128.Create(Pairs(a), Pairs(b), Pairs(c), Pairs(d));
        Vector256<float> sums = Avx.HorizontalAdd(Avx.HorizontalAdd(a, b), Avx.HorizontalAdd(c, d));
        return sums.GetLower() + sums.GetUpper();
    }

    private static float Pairs(Vector256<float> v) =>
        ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
}

/// <summary>Vectors of 512 bits.</summary>
internal readonly unsafe struct Wide512 : IWide<Vector512<float>>
{
    public static int Count => Vector512<float>.Count;

    public static bool HasManyRegisters => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* source) => Vector512.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadBFloat16(ushort* source)
    {
        return Avx512F.IsSupported ? (Avx512F.ConvertToVector512Int32(Vector256.Load(source)) << 16).AsSingle()
            : Vector512.Create(Wide256.LoadBFloat16(source), Wide256.LoadBFloat16(source + 8));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadInt8(sbyte* source)
    {
        return Avx512F.IsSupported
            ? Avx512F.ConvertToVector512Single(Avx512F.ConvertToVector512Int32(Vector128.Load(source)))
            : Vector512.Create(Wide256.LoadInt8(source), Wide256.LoadInt8(source + 8));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float* target, Vector512<float> vector) => vector.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Broadcast(float value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Add(Vector512<float> a, Vector512<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) =>
        Vector512.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> FusedMultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) =>
        Vector512.FusedMultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Sqrt(Vector512<float> vector) => Vector512.Sqrt(vector);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Multiply(Vector512<float> a, Vector512<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Subtract(Vector512<float> a, Vector512<float> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Max(Vector512<float> a, Vector512<float> b) => Vector512.Max(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Higher(Vector512<float> a, Vector512<float> b) => Vector512.MaxNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> WhereAtMostZero(
        Vector512<float> chooser, Vector512<float> then, Vector512<float> otherwise) =>
        Vector512.ConditionalSelect(Vector512.LessThanOrEqual(chooser, Vector512<float>.Zero), then, otherwise);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Divide(Vector512<float> a, Vector512<float> b) => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> exponent) => Vector512.Exp(exponent);

    // 2ⁿ·eʳ with |r| at most half of ln 2, where a polynomial (Cephes' expf) is accurate to two units in the last
    // place. From -87.7 downwards n is -127, for which the power of 2 evaluates to 0.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ExpOfNegative(Vector512<float> exponent)
    {
        Vector512<float> x = Vector512.Max(exponent, Vector512.Create(-88f)),
            n = Vector512.Round(x * Vector512.Create(1.44269504f));
        Vector512<float> r = MultiplyAdd(n, Vector512.Create(-0.693359375f), x);
        r = MultiplyAdd(n, Vector512.Create(2.12194440e-4f), r);
        Vector512<float> p = MultiplyAdd(Vector512.Create(1.9875691500e-4f), r, Vector512.Create(1.3981999507e-3f));
        p = MultiplyAdd(p, r, Vector512.Create(8.3334519073e-3f));
        p = MultiplyAdd(p, r, Vector512.Create(4.1665795894e-2f));
        p = MultiplyAdd(p, r, Vector512.Create(1.6666665459e-1f));
        p = MultiplyAdd(p, r, Vector512.Create(5.0000001201e-1f));
        p = MultiplyAdd(p, r * r, r + Vector512.Create(1f));
        Vector512<float> power = ((Vector512.ConvertToInt32Native(n) + Vector512.Create(127)) << 23).AsSingle();
        return p * power;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Log(Vector512<float> vector) => Vector512.Log(vector);

    public static void Transpose(float* rows, long stride, float* target, long targetStride)
    {
        if (Avx512F.IsSupported) SmallTranspose.Sixteen(rows, stride, target, targetStride);
        else SmallTranspose.Plain(rows, stride, target, targetStride, Vector512<float>.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector512<float> vector) => Vector512.Sum(vector);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Highest(Vector512<float> vector) =>
        Wide256.Highest(Vector256.MaxNative(vector.GetLower(), vector.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> SumFour(
        Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d) =>
        Wide256.SumFour(Halves(a), Halves(b), Halves(c), Halves(d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Halves(Vector512<float> vector) => vector.GetLower() + vector.GetUpper();
}
