namespace LowRank.ParityTests.Tokenization.Templates;

/// <summary>The day on which the reference rendered the cases: templates print it.</summary>
public sealed class FixedClock : TimeProvider
{
    /// <inheritdoc/>
    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => new(2026, 11, 23, 12, 0, 0, TimeSpan.Zero);
}
