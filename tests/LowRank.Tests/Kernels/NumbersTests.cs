using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

/// <summary>Numbers beside tensors stay what they are while the garbage collector runs.</summary>
public sealed class NumbersTests
{
    // With TorchSharp's own conversions this ends within a second, with an exception or another number.
    [Fact]
    public async Task Collections_take_no_number_from_an_operation()
    {
        using var done = new CancellationTokenSource();
        Task[] collecting = [.. Enumerable.Range(0, 2).Select(_ => Task.Run(() =>
        {
            while (!done.IsCancellationRequested) GC.Collect(0);
        }))];
        try
        {
            using var noGradient = no_grad();
            using Tensor x = ones(64), places = Numbers.Indices(0, 64);
            for (int i = 0; i < 20_000; i++)
            {
                using var scope = NewDisposeScope();
                Tensor y = x.mul(Numbers.Number(3)).Plus(x).Plus(0.5).clamp_max(Numbers.Number(4.25));
                y = Numbers.Minus(1, y).index_fill_(0, places.narrow(0, 0, 8), Numbers.Number(7));
                Assert.Equal(7, y[0].item<float>());
                Assert.Equal(-3.25f, y[^1].item<float>());
            }
        }
        finally
        {
            await done.CancelAsync();
            await Task.WhenAll(collecting);
        }
    }

    [Fact]
    public void Whole_numbers_leave_whole_tensors_whole()
    {
        using var scope = NewDisposeScope();
        Tensor whole = Numbers.Indices(2, 9, step: 3);
        Assert.Equal([2, 5, 8], whole.data<long>().ToArray());
        Assert.Equal([5, 8, 11], whole.Plus(3).data<long>().ToArray());
        Assert.Equal([4, 10, 16], (whole * Numbers.Number(2)).data<long>().ToArray());
        Assert.Equal(ScalarType.Float32, whole.Plus(0.5).dtype);
    }
}
