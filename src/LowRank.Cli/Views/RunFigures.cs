using System.Globalization;

namespace LowRank.Cli.Views;

/// <summary>What a run cost.</summary>
/// <param name="Trained">Numbers that were trained.</param>
/// <param name="Total">Numbers of the model and what was trained beside it.</param>
/// <param name="Bytes">Size of what was saved.</param>
/// <param name="Elapsed">Time spent in steps.</param>
/// <param name="PeakMemoryBytes">Most memory the process held.</param>
internal sealed record RunFigures(long Trained, long Total, long Bytes, TimeSpan Elapsed, long PeakMemoryBytes)
{
    public string TrainedShare => string.Create(CultureInfo.InvariantCulture, $"{Trained:n0} of {Total:n0} ({100.0 * Trained / Total:f2} %)");

    public string Size => string.Create(CultureInfo.InvariantCulture, $"{Bytes / 1e6:f2} MB");

    public string Memory => string.Create(CultureInfo.InvariantCulture, $"{PeakMemoryBytes / 1e9:f2} GB");
}
