using CsCheck;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

public sealed class MatMulTests
{
    // Widths about every tile, panel and slice, and those of real layers.
    private static readonly Gen<int> Width =
        Gen.OneOf(Gen.Int[1, 70], Gen.Int[71, 500], Gen.OneOf(384, 385, 768, 3072, 3100));

    private static readonly Gen<(
        int Rows, int Depth, int Columns, bool Transposed, bool Biased, bool Gaps, ulong Seed)> Case =
        Gen.Select(Gen.OneOf(Gen.Int[1, 50], Gen.Int[51, 300]), Width, Width, Gen.Bool, Gen.Bool, Gen.Bool,
            Gen.ULong[1, 1UL << 40]);

    [Fact]
    public void Any_product_is_the_exact_one_within_rounding() => Case.Sample(drawn =>
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        (int rows, int depth, int columns, bool transposed, bool biased, bool gaps, ulong seed) = drawn;
        Tensor x = Rounding.Draw(seed, rows, depth), w = transposed ? Rounding.Draw(seed + 1, columns, depth).t()
            : Rounding.Draw(seed + 1, depth, columns);
        Tensor? bias = biased ? Rounding.Draw(seed + 2, columns) : null;
        (Tensor input, Tensor matrix) = (x.to(ScalarType.Float64), w.to(ScalarType.Float64));
        Tensor added = (bias ?? zeros(columns)).to(ScalarType.Float64);
        Tensor size = matmul(input.abs(), matrix.abs()).Plus(added.abs()), exact = matmul(input, matrix).Plus(added);
        // Higham, Accuracy and Stability of Numerical Algorithms, section 3.1: n·u/(1 − n·u) times the sum of the
        // absolute terms.
        double bound = (depth + 3) * Rounding.Unit * 1.001;
        Rounding.AssertWithin(exact, size * Number(bound), MatMul.Multiply(gaps ? Rounding.WithGaps(x) : x, w, bias));
        Rounding.AssertWithin(exact, size * Number(bound), Own(x, w, bias));
        Tensor start = Rounding.Draw(seed + 3, rows, columns), sum = start.clone(), written = start.clone();
        MatMul.Add(sum, x, w);
        MatMul.Write(written, x, w);
        Tensor before = start.to(ScalarType.Float64);
        Rounding.AssertWithin(before.Plus(matmul(input, matrix)), (before.abs().Plus(size)) * Number(bound), sum);
        Rounding.AssertWithin(matmul(input, matrix), size * Number(bound), written);
    }, iter: 40, threads: 1);

    [Fact]
    public void A_result_depends_on_no_number_of_threads()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor x = Rounding.Draw(1, 200, 400), w = Rounding.Draw(2, 400, 500);
        int threads = get_num_threads();
        try
        {
            set_num_threads(2);
            float[] several = Own(x, w, null).data<float>().ToArray();
            set_num_threads(1);
            Assert.Equal(several, Own(x, w, null).data<float>().ToArray());
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    // Whatever the size: small products are left to libtorch otherwise.
    private static unsafe Tensor Own(Tensor x, Tensor w, Tensor? bias)
    {
        Tensor result = empty(x.shape[0], w.shape[1]);
        BlockedProduct.Multiply((float*)NativeTensor.Address(x), x.stride(0), (float*)NativeTensor.Address(w),
            w.stride(0), w.stride(1), (float*)NativeTensor.Address(result), result.stride(0),
            (int)x.shape[0], (int)x.shape[1], (int)w.shape[1], adds: false, bias is null ? null
            : (float*)NativeTensor.Address(bias));
        return result;
    }
}
