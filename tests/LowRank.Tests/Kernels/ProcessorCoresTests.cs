using LowRank.Kernels;

namespace LowRank.Tests.Kernels;

public sealed class ProcessorCoresTests
{
    [Theory]
    [InlineData("3", 3)]
    [InlineData(" 2 ", 2)]
    [InlineData("4,2", 4)]
    public void The_variable_of_OpenMP_says_how_many_threads_compute(string said, int expected) =>
        Assert.Equal(expected, ProcessorCores.Usable(said));

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("many")]
    public void Without_a_number_it_is_the_physical_cores(string? said) =>
        Assert.InRange(ProcessorCores.Usable(said), 1, Environment.ProcessorCount);
}
