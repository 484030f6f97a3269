namespace LowRank.Training;

/// <summary>The process that writes to a run's folder.</summary>
/// <param name="Process">Its id.</param>
/// <param name="Host">The machine it runs on.</param>
/// <param name="Started">When it took the folder.</param>
/// <param name="Token">Tells this taking from all others.</param>
internal sealed record RunOwner(int Process, string Host, DateTimeOffset Started, Guid Token)
{
    public static RunOwner Current() => new(Environment.ProcessId, Environment.MachineName, DateTimeOffset.UtcNow, Guid.NewGuid());

    public override string ToString() => FormattableString.Invariant($"process {Process} on {Host}, since {Started:yyyy-MM-dd HH:mm:ss} UTC");
}
