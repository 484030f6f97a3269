using CsCheck;
using LowRank.Tensors.Kernels;
using static TorchSharp.torch;

namespace LowRank.Tests.Tensors.Kernels;

public sealed class RowScalingTests
{
    [Fact]
    public void Any_rows_are_normalised_within_rounding() =>
        Gen.Select(Gen.Int[1, 9], Gen.Int[1, 900], Gen.OneOf(0, 1), Gen.Double[-3, 3], Gen.ULong[1, 1UL << 40]).Sample((rows, width, offset, magnitude, seed) =>
        {
            const double epsilon = 1e-6;
            using var scope = NewDisposeScope();
            Tensor x = Rounding.Draw(seed, rows, width) * Math.Pow(10, magnitude), w = Rounding.Draw(seed + 1, width);
            Assert.Null(RowScaling.TryNormalize(x, w, epsilon, offset)); // autograd is on
            Tensor ordinary = (w + offset) * (x * rsqrt(x.pow(2).mean([-1], keepdim: true) + epsilon));
            using var noGradient = no_grad();
            Tensor? found = RowScaling.TryNormalize(x, w, epsilon, offset);
            Assert.NotNull(found);
            (Tensor input, Tensor weight) = (x.to(ScalarType.Float64), w.to(ScalarType.Float64));
            Tensor scaled = input * rsqrt(input.pow(2).mean([-1], keepdim: true) + epsilon);
            // The mean of squares is off by width roundings at most, its root by half of that.
            Tensor bound = scaled.abs() * (weight.abs() + offset) * ((width / 2.0 + 8) * Rounding.Unit);
            Rounding.AssertWithin(scaled * (weight + offset), bound, found);
            Rounding.AssertWithin(ordinary.to(ScalarType.Float64), 2 * bound, found);
        }, iter: 100, threads: 1);

    [Fact]
    public void What_torch_must_compute_is_left_to_it()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Assert.NotNull(RowScaling.TryNormalize(ones(2, 8), ones(8), 1e-5, 0));
        Assert.Null(RowScaling.TryNormalize(ones(0, 8), ones(8), 1e-5, 0));
        Assert.Null(RowScaling.TryNormalize(ones(2, 8), ones(1), 1e-5, 0));
        Assert.Null(RowScaling.TryNormalize(ones(8, 2).t(), ones(8), 1e-5, 0));
        Assert.Null(RowScaling.TryNormalize(ones(100, 1000), ones(1000), 1e-5, 0));
        Assert.Null(RowScaling.TryNormalize(ones(2, 8).to(ScalarType.Float64), ones(8), 1e-5, 0));
    }
}
