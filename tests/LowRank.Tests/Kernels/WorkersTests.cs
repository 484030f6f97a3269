using LowRank.Kernels;


namespace LowRank.Tests.Kernels;

public sealed unsafe class WorkersTests
{
    [Theory]
    [InlineData(0), InlineData(1), InlineData(2), InlineData(7), InlineData(500)]
    public void Each_part_runs_once_before_the_call_returns(int parts)
    {
        int[] runs = new int[parts];
        for (int repeat = 1; repeat <= 20; repeat++)
        {
            fixed (int* counts = runs) Workers.Run(parts, &Count, counts);
            Assert.All(runs, count => Assert.Equal(repeat, count));
            Workers.Run(parts, part => Interlocked.Decrement(ref runs[part]));
            Assert.All(runs, count => Assert.Equal(repeat - 1, count));
            Workers.Run(parts, part => Interlocked.Increment(ref runs[part]));
        }
    }

    [Fact]
    public void Callers_on_several_threads_do_not_mix() => Parallel.For(0, 8, _ =>
    {
        int[] runs = new int[50];
        for (int repeat = 0; repeat < 50; repeat++)
            fixed (int* counts = runs) Workers.Run(runs.Length, &Count, counts);
        Assert.All(runs, count => Assert.Equal(50, count));
    });

    private static void Count(void* data, int part) => Interlocked.Increment(ref ((int*)data)[part]);
}
