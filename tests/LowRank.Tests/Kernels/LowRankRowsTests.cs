using CsCheck;
using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

public sealed class LowRankRowsTests
{
    [Fact]
    public void Each_row_is_to_the_bit_what_its_pair_makes_of_it_alone() =>
        Gen.Select(Gen.Select(Gen.Int[0, 3], Gen.Int[0, 60], Gen.Int[1, 70]).Array[1, 5], Gen.Int[1, 400],
            Gen.Int[1, 500], Gen.Int[1, 2], Gen.ULong[1, 1UL << 40]).Sample((groups, inputs, outputs, each, seed) =>
        {
            using var scope = NewDisposeScope();
            using var noGradient = no_grad();
            List<RowPair> pairs = [];
            int rows = 0;
            foreach ((int before, int count, int rank) in groups)
            {
                rows += before; // of the base alone
                if (count > 0)
                    pairs.Add(new RowPair(rows, count, LowRankPair.Of(Rounding.Draw(seed + (ulong)rank, rank, inputs),
                        Rounding.Draw(seed + 100 + (ulong)rank, outputs, rank), 0.5 + rank)!));
                rows += count;
            }
            rows++;
            Tensor x = Rounding.Draw(seed, rows, each * inputs).view(rows, each, inputs),
                y = Rounding.Draw(seed + 3, rows, each * outputs).view(rows, each, outputs), found = y.clone();
            Assert.True(LowRankRows.TryAdd(found, x, pairs));
            foreach (RowPair pair in pairs)
                for (int row = pair.First; row < pair.First + pair.Count; row++)
                    Assert.True(LowRankSum.TryAdd(
                        y.narrow(0, row, 1), x.narrow(0, row, 1), pair.Pair.A, pair.Pair.B, pair.Pair.Scale));
            Assert.Equal(y.data<float>().ToArray(), found.data<float>().ToArray());
        }, iter: 60, threads: 1);

    [Fact]
    public void What_torch_must_compute_is_left_to_it_whole()
    {
        using var scope = NewDisposeScope();
        Tensor x = ones(3, 8), y = zeros(3, 2);
        LowRankPair Pair(Tensor a, double scale) => LowRankPair.Of(a, ones(2, 4), scale)!;
        RowPair one = new(0, 1, Pair(ones(4, 8), 1)), wrong = new(1, 1, Pair(ones(4, 7), 1));
        Assert.False(LowRankRows.TryAdd(y, x, [one])); // autograd is on
        using var noGradient = no_grad();
        Assert.False(LowRankRows.TryAdd(y, x, [one, wrong]));
        Assert.Null(LowRankPair.Of(ones(4, 8), ones(2, 4, ScalarType.Float64), 1));
        Assert.Null(LowRankPair.Of(ones(4, 8), ones(2, 5), 1));
        Assert.All(y.data<float>(), value => Assert.Equal(0, value));
        Assert.True(LowRankRows.TryAdd(y, x, [one, new RowPair(2, 1, Pair(ones(4, 8), 2))]));
        Assert.Equal([32, 32, 0, 0, 64, 64], y.data<float>().ToArray());
    }
}
