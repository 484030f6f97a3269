using CsCheck;
using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

public sealed class LowRankSumTests
{
    [Fact]
    public void Any_sum_is_the_exact_one_within_rounding() =>
        Gen.Select(Gen.Int[1, 40], Gen.Int[1, 900], Gen.Int[1, 150], Gen.Int[1, 3000],
            Gen.Double[-4, 4], Gen.ULong[1, 1UL << 40]).Sample((rows, inputs, rank, outputs, scale, seed) =>
        {
            using var scope = NewDisposeScope();
            using var noGradient = no_grad();
            Tensor x = Rounding.Draw(seed, rows, inputs), a = Rounding.Draw(seed + 1, rank, inputs),
                b = Rounding.Draw(seed + 2, outputs, rank);
            Tensor y = Rounding.Draw(seed + 3, rows, outputs), found = y.clone();
            Assert.True(LowRankSum.TryAdd(found, x, a, b, scale));
            Tensor[] exact = [.. new[] { x, a, b, y }.Select(tensor => tensor.to(ScalarType.Float64))];
            Tensor sum = exact[3].Plus(matmul(matmul(exact[0], exact[1].t()), exact[2].t()) * Number(scale));
            Tensor size = exact[3].abs().Plus(matmul(matmul(exact[0].abs(), exact[1].abs().t()), exact[2].abs().t())
                * Number(Math.Abs(scale)));
            double bound = (inputs + rank + 6) * Rounding.Unit * 1.01;
            // A sum below the smallest number of float32, which a tiny scale beside a y of 0 makes, is rounded to 0.
            Rounding.AssertWithin(sum, (size * Number(bound)).Plus(float.Epsilon), found);
            Tensor ordinary = y.add(nn.functional.linear(nn.functional.linear(x, a), b), Number(scale));
            Rounding.AssertWithin(
                ordinary.to(ScalarType.Float64), (size * Number(2 * bound)).Plus(float.Epsilon), found);
        }, iter: 100, threads: 1);

    [Fact]
    public void A_row_depends_on_no_other_row()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor x = Rounding.Draw(1, 33, 300), a = Rounding.Draw(2, 70, 300), b = Rounding.Draw(3, 500, 70);
        Tensor together = zeros(33, 500), alone = zeros(1, 500);
        Assert.True(LowRankSum.TryAdd(together, x, a, b, 0.5));
        Assert.True(LowRankSum.TryAdd(alone, x.narrow(0, 20, 1), a, b, 0.5));
        Assert.Equal(alone.data<float>().ToArray(), together[20].data<float>().ToArray());
    }

    [Fact]
    public void What_torch_must_compute_is_left_to_it()
    {
        using var scope = NewDisposeScope();
        Tensor x = ones(2, 8), a = ones(4, 8), b = ones(3, 4), y = zeros(2, 3);
        Assert.False(LowRankSum.TryAdd(y, x, a, b, 1)); // autograd is on
        using var noGradient = no_grad();
        Assert.False(LowRankSum.TryAdd(y, x, ones(5, 8), b, 1));
        Assert.False(LowRankSum.TryAdd(zeros(2, 2), x, a, b, 1));
        Assert.All(y.data<float>(), value => Assert.Equal(0, value));
        Assert.True(LowRankSum.TryAdd(y, x, a, b, 1));
        Assert.All(y.data<float>(), value => Assert.Equal(32, value));
    }
}
