using CsCheck;
using LowRank.Adapters.Inspection;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Adapters;

public sealed class DeltaSpectrumTests
{
    [Fact]
    public void It_is_the_spectrum_of_the_whole_product() =>
        Gen.Select(Gen.Int[1, 12], Gen.Int[1, 12], Gen.Int[1, 6], Gen.Double[-4, 4], Gen.Int).Sample(
            (inputs, outputs, rank, scale, seed) =>
            {
                using var scope = NewDisposeScope();
                using var generator = new Generator((ulong)(uint)seed);
                Tensor a = randn(rank, inputs, ScalarType.Float64, generator: generator);
                Tensor b = randn(outputs, rank, ScalarType.Float64, generator: generator);
                Tensor product = matmul(b, a).mul(Number(scale));
                DeltaSpectrum spectrum = DeltaSpectrum.From(a, b, scale);

                double[] expected = linalg.svdvals(product).data<double>().ToArray();
                double tolerance = 1e-12 * (1 + expected[0]);
                int common = Math.Min(rank, Math.Min(inputs, outputs));
                Assert.Equal(common, spectrum.SingularValues.Count);
                Assert.All(expected.Take(common).Zip(spectrum.SingularValues),
                    pair => Assert.Equal(pair.First, pair.Second, tolerance));
                Assert.All(expected.Skip(common), rest => Assert.Equal(0, rest, tolerance));
                Assert.Equal(product.norm().item<double>(), spectrum.FrobeniusNorm, tolerance * 10);
                Assert.Equal(expected[0], spectrum.SpectralNorm, tolerance);
                Assert.InRange(spectrum.EffectiveRank, scale == 0 ? 0 : 1 - 1e-9, common + 1e-9);
            },
            iter: 200,
            threads: 1);

    [Theory]
    [InlineData(new[] { 3.0 }, 1.0)]
    [InlineData(new[] { 2.0, 2.0, 2.0, 2.0 }, 4.0)]
    [InlineData(new[] { 5.0, 0.0, 0.0 }, 1.0)]
    [InlineData(new[] { 3.0, 1.0 }, 1.7547653506033)] // exp(-(3/4 ln 3/4 + 1/4 ln 1/4))
    [InlineData(new[] { 1e-200, 1e-200 }, 2.0)]
    [InlineData(new[] { 0.0, 0.0 }, 0.0)]
    public void The_effective_rank_is_the_exponential_of_the_entropy(double[] values, double expected) =>
        Assert.Equal(expected, DeltaSpectrum.From(values).EffectiveRank, 1e-12);

    [Fact]
    public void A_change_of_nothing_has_no_size()
    {
        using var scope = NewDisposeScope();
        DeltaSpectrum spectrum = DeltaSpectrum.From(ones(2, 5), zeros(3, 2), 2);
        Assert.Equal((0.0, 0.0, 0.0), (spectrum.FrobeniusNorm, spectrum.SpectralNorm, spectrum.EffectiveRank));
    }

    [Fact]
    public void Half_precision_is_widened_first()
    {
        using var scope = NewDisposeScope();
        Tensor a = ones(1, 3, ScalarType.BFloat16), b = ones(2, 1, ScalarType.BFloat16);
        Assert.Equal(2 * Math.Sqrt(6), DeltaSpectrum.From(a, b, 2).FrobeniusNorm, 1e-12);
    }

    [Fact]
    public void Values_that_are_not_finite_are_refused()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<NonFiniteException>(() => DeltaSpectrum.From(full(1, 2, Number(float.NaN)), ones(2, 1), 1));
        Assert.Throws<NonFiniteException>(
            () => DeltaSpectrum.From(ones(1, 2), full(2, 1, Number(float.PositiveInfinity)), 1));
        Assert.Throws<NonFiniteException>(() => DeltaSpectrum.From(ones(1, 2), ones(2, 1), double.NaN));
        Assert.Throws<ArgumentException>(() => DeltaSpectrum.From(ones(3, 2), ones(2, 1), 1));
    }

    [Fact]
    public void No_tensor_is_left_behind()
    {
        using var scope = NewDisposeScope();
        Tensor a = ones(2, 5), b = ones(3, 2);
        DeltaSpectrum.From(a, b, 1);
        // The count of this thread's scopes: other tests' tensors come and go meanwhile.
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 0; i < 20; i++) DeltaSpectrum.From(a, b, 1);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
