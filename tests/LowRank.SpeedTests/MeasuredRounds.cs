using System.Diagnostics;
using System.Globalization;

namespace LowRank.SpeedTests;

/// <summary>Measures in rounds on a machine that others may use too: rounds in which they took processors from it do
/// not count, whichever way they changed what was found.</summary>
/// <param name="patience">After it no further round begins.</param>
/// <param name="meter">Starts to watch the others, and returns what says how many processors they used on average
/// since.</param>
internal sealed class MeasuredRounds(TimeSpan patience, Func<Func<double>> meter)
{
    /// <summary>The share of one processor that others may use.</summary>
    public const double Undisturbed = 0.2;

    private const int Fewest = 3; // rounds, on a machine so slow that patience ends before

    /// <summary>Rounds on this machine.</summary>
    public static MeasuredRounds Here(double times = 1) => new(times * TimeSpan.FromSeconds(15), () =>
    {
        var others = new OtherWork();
        return () => others.Used;
    });

    /// <summary>Measures until there are enough undisturbed rounds, or patience ends.</summary>
    /// <typeparam name="T">What a round finds.</typeparam>
    /// <param name="wanted">Undisturbed rounds that are wanted.</param>
    /// <param name="round">Measures once.</param>
    /// <param name="holding">How many of the rounds so far reach what is expected: once half of all that are wanted do,
    /// their median does too whatever the others find, and they are left out; as long as it does not, more than are
    /// wanted are measured. Null measures as many as are wanted.</param>
    public RoundsFound<T> Measure<T>(int wanted, Func<T> round, Func<IReadOnlyList<T>, int>? holding = null)
    {
        bool IsEnough(List<T> found) => holding is null ? found.Count >= wanted
            : 2 * holding(found) >= Math.Max(wanted, found.Count);
        List<T> undisturbed = [];
        int done = 0;
        Func<double> others = meter();
        for (long started = Stopwatch.GetTimestamp(); done < Fewest
            || (Stopwatch.GetElapsedTime(started) < patience && !IsEnough(undisturbed));
            done++)
        {
            Func<double> meanwhile = meter();
            T found = round();
            if (meanwhile() < Undisturbed) undisturbed.Add(found);
        }
        return new RoundsFound<T>(undisturbed, done, others());
    }
}

/// <summary>What rounds found.</summary>
/// <param name="Undisturbed">The rounds that count.</param>
/// <param name="Done">All of them.</param>
/// <param name="Others">Processors that others used on average.</param>
internal sealed record RoundsFound<T>(IReadOnlyList<T> Undisturbed, int Done, double Others)
{
    /// <summary>Whether most rounds count.</summary>
    public bool Counts => Undisturbed.Count > Done / 2;

    /// <summary>Whether the machine is known to have been this process's.</summary>
    public bool IsQuiet => OtherWork.IsKnown && Others < MeasuredRounds.Undisturbed;

    /// <summary>How quiet it was, in words.</summary>
    public string Says => string.Create(CultureInfo.InvariantCulture,
        $"{(OtherWork.IsKnown ? $"others used {Others:0.0} of {Environment.ProcessorCount} processors"
            : "the system does not say whether others were at work")}, {Undisturbed.Count} of {Done} rounds were " +
        $"undisturbed");

    /// <summary>The median of the rounds, by a number of each.</summary>
    public double Median(Func<T, double> of) => LowRank.Cli.Bench.Median.Of([.. Undisturbed.Select(of)]);
}
