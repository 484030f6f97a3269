using System.Collections.Concurrent;
using System.Reflection;
using Xunit.v3;

namespace LowRank.Testing;

/// <summary>Each test takes a turn beside others, and waits while speed is measured.</summary>
[AttributeUsage(AttributeTargets.Assembly)]
public sealed class TakesTurnAttribute : BeforeAfterTestAttribute
{
    private static readonly ConcurrentDictionary<string, MachineLock> Turns = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public override void Before(MethodInfo methodUnderTest, IXunitTest test)
    {
        MachineLock turn = Turns[test.UniqueID] = MachineLock.Beside();
        if (turn.Disturbance is not null) TestContext.Current.AddWarning(turn.Disturbance);
    }

    /// <inheritdoc/>
    public override void After(MethodInfo methodUnderTest, IXunitTest test)
    {
        if (Turns.TryRemove(test.UniqueID, out MachineLock? turn)) turn.Dispose();
    }
}
