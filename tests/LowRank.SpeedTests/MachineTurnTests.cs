using System.Diagnostics;
using LowRank.Tests.Turns;

namespace LowRank.SpeedTests;

/// <summary>Who measures is alone, and comes to it while others take turns all the time.</summary>
[Collection(MeasuredCollection.Name)]
public sealed class MachineTurnTests : IDisposable
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(100), Long = TimeSpan.FromMinutes(10);
    private readonly string name = $"test-{Guid.NewGuid():n}";

    [Fact]
    public void Tests_are_beside_each_other_and_not_beside_one_that_is_alone()
    {
        using (MachineTurn.Beside(name, Short))
        using (MachineTurn second = MachineTurn.Beside(name, Short))
        {
            Assert.Null(second.Disturbance);
            using MachineTurn early = MachineTurn.Alone(name, Short);
            Assert.Contains("A test in another process", early.Disturbance, StringComparison.Ordinal);
        }
        using MachineTurn alone = MachineTurn.Alone(name, Short);
        Assert.Null(alone.Disturbance);
        using MachineTurn late = MachineTurn.Beside(name, Short);
        Assert.Contains("Another process measures speed", late.Disturbance, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        (string gate, string tests) = MachineTurn.Files(name);
        File.Delete(gate);
        File.Delete(tests);
    }

    [Fact]
    public async Task Who_wants_to_be_alone_goes_before_the_tests_that_come_after()
    {
        MachineTurn running = MachineTurn.Beside(name, Short);
        Task<MachineTurn> wanted = Task.Run(() => MachineTurn.Alone(name, Long));
        bool waits = false;
        for (long started = Stopwatch.GetTimestamp(); !waits && Stopwatch.GetElapsedTime(started) < Long;)
            using (MachineTurn next = MachineTurn.Beside(name, TimeSpan.FromMilliseconds(1)))
                waits = next.Disturbance is not null;
        Assert.True(waits, "tests went past one that waits to be alone");
        running.Dispose();
        using MachineTurn alone = await wanted;
        Assert.Null(alone.Disturbance);
    }
}
