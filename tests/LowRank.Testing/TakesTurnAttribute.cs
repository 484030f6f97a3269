using System.Collections.Concurrent;
using System.Reflection;
using Xunit.v3;

namespace LowRank.Testing;

/// <summary>Each test takes a turn beside others, and waits while speed is measured.</summary>
[AttributeUsage(AttributeTargets.Assembly)]
public sealed class TakesTurnAttribute : BeforeAfterTestAttribute
{
    /// <summary>The environment variable of a process whose caller has taken the turn. A turn of its own would wait for
    /// ever: for one who waits to be alone, and who waits for the caller.</summary>
    internal const string Taken = "LOWRANK_TURN_TAKEN";

    private static readonly ConcurrentDictionary<string, MachineLock> Turns = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public override void Before(MethodInfo methodUnderTest, IXunitTest test)
    {
        if (Environment.GetEnvironmentVariable(Taken) is not null) return;
        MachineLock turn = Turns[test.UniqueID] = MachineLock.Beside();
        if (turn.Disturbance is not null) TestContext.Current.AddWarning(turn.Disturbance);
    }

    /// <inheritdoc/>
    public override void After(MethodInfo methodUnderTest, IXunitTest test)
    {
        if (Turns.TryRemove(test.UniqueID, out MachineLock? turn)) turn.Dispose();
    }
}
