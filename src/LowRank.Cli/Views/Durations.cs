using System.Globalization;

namespace LowRank.Cli.Views;

/// <summary>Formats durations for people.</summary>
internal static class Durations
{
    /// <summary>0:07, 12:30 or 1:02:03.</summary>
    public static string Show(TimeSpan time)
    {
        long seconds = (long)Math.Round(time.TotalSeconds);
        return seconds < 3600
            ? string.Create(CultureInfo.InvariantCulture, $"{seconds / 60}:{seconds % 60:d2}")
            : string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600}:{seconds / 60 % 60:d2}:{seconds % 60:d2}");
    }

    /// <summary>The remaining time at the pace so far.</summary>
    public static TimeSpan Left(TimeSpan elapsed, long step, long steps) => step == 0 ? TimeSpan.Zero
        : elapsed / step * (steps - step);
}
