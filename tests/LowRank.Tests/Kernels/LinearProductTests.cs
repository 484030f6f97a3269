using CsCheck;
using LowRank.Kernels;
using LowRank.Quantization;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

public sealed class LinearProductTests
{
    // Widths about every tile and vector, and those of real layers.
    private static readonly Gen<int> Width =
        Gen.OneOf(Gen.Int[1, 40], Gen.Int[41, 700], Gen.OneOf(768, 1024, 2304, 3072));

    // Few, which memory limits, and many, about every tile.
    private static readonly Gen<int> Rows = Gen.OneOf(Gen.Int[1, LinearProduct.StreamedRows], Gen.Int[17, 130]);

    private static readonly Gen<(
        int Rows, int Inputs, int Outputs, bool Transposed, bool Biased, bool Gaps, ulong Seed)> Case =
        Gen.Select(Rows, Width, Width, Gen.Bool, Gen.Bool, Gen.Bool,
            Gen.ULong[1, 1UL << 40]);

    [Fact]
    public void Any_product_is_the_exact_one_within_rounding() => Case.Sample(drawn =>
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        (int rows, int inputs, int outputs, bool transposed, bool biased, bool gaps, ulong seed) = drawn;
        Tensor x = Rounding.Draw(seed, rows, inputs), w = transposed ? Rounding.Draw(seed + 1, inputs, outputs)
            : Rounding.Draw(seed + 1, outputs, inputs);
        Tensor? bias = biased ? Rounding.Draw(seed + 2, outputs) : null;
        Tensor? found = LinearProduct.TryLinear(gaps ? Rounding.WithGaps(x) : x, w, transposed, bias);
        Assert.NotNull(found);
        (Tensor input, Tensor matrix) = (x.to(ScalarType.Float64), (transposed ? w.t() : w).to(ScalarType.Float64));
        Tensor added = (bias ?? zeros(outputs)).to(ScalarType.Float64);
        // Higham, Accuracy and Stability of Numerical Algorithms, section 3.1: n·u/(1 − n·u) times the sum of the
        // absolute terms.
        Tensor size = matmul(input.abs(), matrix.abs().t()).Plus(added.abs());
        Rounding.AssertWithin(
            matmul(input, matrix.t()).Plus(added), size * Number((inputs + 3) * Rounding.Unit * 1.001), found);
        Tensor torches = nn.functional.linear(x, transposed ? w.t() : w, bias);
        Rounding.AssertWithin(
            torches.to(ScalarType.Float64), size * Number((inputs + 3) * Rounding.Unit * 2.002), found);
    }, iter: Rounding.Samples(100), threads: 1);

    [Fact]
    public void A_row_depends_on_no_other_row_and_no_number_of_threads() => Case.Sample(drawn =>
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        (int rows, int inputs, int outputs, bool transposed, bool _, bool _, ulong seed) = drawn;
        Tensor x = Rounding.Draw(seed, rows, inputs), w = transposed ? Rounding.Draw(seed + 1, inputs, outputs)
            : Rounding.Draw(seed + 1, outputs, inputs);
        Tensor together = LinearProduct.TryLinear(x, w, transposed, null)!;
        for (int row = 0; row < rows; row += 5)
            Assert.Equal(together[row].data<float>().ToArray(),
                LinearProduct.TryLinear(x.narrow(0, row, 1), w, transposed, null)!.data<float>().ToArray());
    }, iter: Rounding.Samples(40), threads: 1);

    [Fact]
    public void Each_product_with_a_dense_weight_takes_it_with_a_graph_too_and_while_a_packed_weight_is_merged()
    {
        using var scope = NewDisposeScope();
        Tensor x = Rounding.Draw(1, 3, 1000), w = Rounding.Draw(2, 70, 1000), bias = Rounding.Draw(3, 70);
        float[] Own(IWeightMatrix weight)
        {
            using var noGradient = no_grad();
            return LinearProduct.TryLinear(x, weight.Dense(), transposed: false, bias)!.data<float>().ToArray();
        }
        float[] Product(IWeightMatrix weight) => weight.Product(x, bias).data<float>().ToArray();
        var dense = new DenseMatrix(w);
        Assert.Equal(Own(dense), Product(dense));
        Assert.NotEqual(Own(dense), MatMul.Multiply(x, w.t(), bias).data<float>().ToArray()); // sums in another order
        Assert.Equal(Own(dense),
            LowRankLinear.Base(x.detach().requires_grad_(), dense, bias).detach().data<float>().ToArray());
        using ExpansionBuffer buffer = ExpansionBuffer.ForModel();
        using PackedWeight packed = WeightFormats.Get("int8")!.Pack(w, buffer);
        packed.BeginMerge();
        Assert.Equal(Own(packed), Product(packed));
        packed.EndMerge();
    }

    [Fact]
    public void What_torch_must_compute_is_left_to_it()
    {
        using var scope = NewDisposeScope();
        Tensor x = ones(2, 8), w = ones(3, 8), b = ones(3);
        Assert.Null(LinearProduct.TryLinear(x, w, transposed: false, b)); // autograd is on
        using var noGradient = no_grad();
        Assert.NotNull(LinearProduct.TryLinear(x, w, transposed: false, b));
        Assert.Null(LinearProduct.TryLinear(ones(0, 8), w, transposed: false, b));
        Assert.Null(LinearProduct.TryLinear(x.to(ScalarType.Float64), w, transposed: false, b));
        Assert.Null(LinearProduct.TryLinear(x, w.to(ScalarType.BFloat16), transposed: false, b));
        Assert.Null(LinearProduct.TryLinear(x, ones(8, 3).t(), transposed: false, b)); // not in order
        Assert.Null(LinearProduct.TryLinear(x, w, transposed: false, ones(1)));
        Assert.Null(LinearProduct.TryLinear(ones(2, 7), w, transposed: false, b));
    }
}
