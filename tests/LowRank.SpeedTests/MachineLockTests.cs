using System.Diagnostics;

namespace LowRank.SpeedTests;

/// <summary>Who measures is alone, and comes to it while others take turns all the time.</summary>
[Collection(MeasuredCollection.Name)]
public sealed class MachineLockTests : IDisposable
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(100), Long = TimeSpan.FromMinutes(10);
    private readonly string name = $"test-{Guid.NewGuid():n}";

    [Fact]
    public void Tests_are_beside_each_other_and_not_beside_one_that_is_alone()
    {
        using (MachineLock.Beside(name, Short))
        using (MachineLock second = MachineLock.Beside(name, Short))
        {
            Assert.Null(second.Disturbance);
            using MachineLock early = MachineLock.Alone(name, Short);
            Assert.Contains("A test in another process", early.Disturbance, StringComparison.Ordinal);
        }
        using MachineLock alone = MachineLock.Alone(name, Short);
        Assert.Null(alone.Disturbance);
        using MachineLock late = MachineLock.Beside(name, Short);
        Assert.Contains("Another process measures speed", late.Disturbance, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        (string gate, string tests) = MachineLock.Files(name);
        File.Delete(gate);
        File.Delete(tests);
    }

    [Fact]
    public async Task Who_wants_to_be_alone_goes_before_the_tests_that_come_after()
    {
        MachineLock running = MachineLock.Beside(name, Short);
        Task<MachineLock> wanted = Task.Run(() => MachineLock.Alone(name, Long));
        bool waits = false;
        for (long started = Stopwatch.GetTimestamp(); !waits && Stopwatch.GetElapsedTime(started) < Long;)
            using (MachineLock next = MachineLock.Beside(name, TimeSpan.FromMilliseconds(1)))
                waits = next.Disturbance is not null;
        Assert.True(waits, "tests went past one that waits to be alone");
        running.Dispose();
        using MachineLock alone = await wanted;
        Assert.Null(alone.Disturbance);
    }
}
