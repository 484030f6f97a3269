using CsCheck;
using LowRank.Kernels;
using LowRank.Quantization;
using LowRank.Tests.Kernels;
using static TorchSharp.torch;

namespace LowRank.Tests.Quantization;

public sealed class PackedProductTests
{
    private static readonly Gen<(string Format, int Vectors, int Columns, int Rows, ulong Seed)> Case = Gen.Select(
        Gen.OneOf(Gen.Const("nf4"), Gen.Const("int8"), Gen.Const("bfloat16")), Gen.OneOf(Gen.Int[1, 5], Gen.Int[6, 40]),
        Gen.OneOf(Gen.Int[1, 20].Select(units => 64 * units), Gen.Int[1, 300], Gen.Const(3072)),
        Gen.OneOf(Gen.Int[1, 70], Gen.Int[71, 400]), Gen.ULong[1, 1UL << 40]);

    [Fact]
    public void Any_product_is_that_of_the_expanded_matrix_within_rounding() => Case.Sample(drawn =>
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        (string format, int vectors, int columns, int rows, ulong seed) = drawn;
        using var buffer = new ExpansionBuffer();
        using PackedWeight packed = WeightFormats.Get(format)!.Pack(Rounding.Draw(seed, rows, columns), buffer);
        Tensor x = Rounding.Draw(seed + 1, vectors, columns), bias = Rounding.Draw(seed + 2, rows);
        Tensor w = packed.Expand().to(ScalarType.Float64), wide = x.to(ScalarType.Float64);
        Tensor size = matmul(wide.abs(), w.abs().t()).Plus(bias.abs());
        Rounding.AssertWithin(matmul(wide, w.t()).Plus(bias), size * Number((columns + 5) * Rounding.Unit * 1.01),
            packed.Product(x, bias));
    }, iter: Rounding.Samples(60), threads: 1);

    [Fact]
    public void A_row_depends_on_no_other_row_and_no_number_of_threads() => Case.Sample(drawn =>
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        (string format, int vectors, int columns, int rows, ulong seed) = drawn;
        using var buffer = new ExpansionBuffer();
        using PackedWeight packed = WeightFormats.Get(format)!.Pack(Rounding.Draw(seed, rows, columns), buffer);
        Tensor x = Rounding.Draw(seed + 1, vectors, columns);
        int threads = get_num_threads();
        try
        {
            set_num_threads(2);
            float[][] together = [.. Enumerable.Range(0, vectors)
                .Select(row => packed.Product(x)[row].data<float>().ToArray())];
            set_num_threads(1);
            for (int row = 0; row < vectors; row += 3)
                Assert.Equal(together[row], packed.Product(x.narrow(0, row, 1)).data<float>().ToArray());
        }
        finally
        {
            set_num_threads(threads);
        }
    }, iter: Rounding.Samples(30), threads: 1);
}
