using System.Diagnostics;
using System.Globalization;
using LowRank.Cli.Bench.Generate;

namespace LowRank.SpeedTests;

/// <summary>Holds a share of the limit, never a time, against the one that was recorded on a machine of the same
/// kind.</summary>
internal sealed class ShareCheck
{
    private const double Kept = 0.8;        // of the recorded share
    internal const double Undisturbed = 0.2; // of a processor, for others
    // how much faster than the recorded one the limit may be: the rest of the work is not faster for it
    private const double Alike = 1.5;
    private const int Fewest = 3;           // rounds, on a machine so slow that patience ends before
    private const int Recording = 3;        // times the rounds of a test, and its patience
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly string name;
    private readonly string unit;
    private readonly RecordedShare? recorded;

    /// <summary>Skips the test where there is nothing that it could hold.</summary>
    /// <param name="machine">Where it is measured.</param>
    /// <param name="name">The share's name in shares.json.</param>
    /// <param name="unit">Of the limit.</param>
    public ShareCheck(MeasuredMachine machine, string name, string unit)
    {
        (this.name, this.unit) = (name, unit);
        recorded = RecordedShares.Here(name);
        machine.SkipWhenDisturbed();
        Assert.SkipWhen(
            recorded is null && !RecordedShares.IsRecording,
            $"{RecordedShares.Source} has no share of {name} for a machine of this kind " +
            $"(\"{RecordedShares.Kind}\"). To record it, on an idle machine: {RecordedShares.Command}");
    }

    /// <summary>Measures in rounds, and more of them while the share is too low, and fails if it stays so whenever it
    /// is looked at again. Skips where the machine is busy elsewhere.</summary>
    /// <param name="rounds">Undisturbed rounds that are wanted; most of those that patience allows must be
    /// undisturbed.</param>
    /// <param name="round">Measures limit and work once, one next to the other.</param>
    public void Hold(int rounds, Func<(double Share, double Limit)> round) => SeenAgain.Fail(() => Look(rounds, round));

    // Null where the share is kept.
    private string? Look(int rounds, Func<(double Share, double Limit)> round)
    {
        double least = RecordedShares.IsRecording ? 0 : Kept * recorded!.Share;
        int times = RecordedShares.IsRecording ? Recording : 1, wanted = times * rounds, done = 0;
        // What others take from a round changes its share either way.
        List<(double Share, double Limit)> undisturbed = [];
        double Share() => Middle.Of([.. undisturbed.Select(measured => measured.Share)]);
        double Limit() => Middle.Of([.. undisturbed.Select(measured => measured.Limit)]);
        var others = new OtherWork();
        for (long started = Stopwatch.GetTimestamp(); done < Fewest
            || (Stopwatch.GetElapsedTime(started) < times * Patience
            && (undisturbed.Count < wanted || Share() < least)); done++)
        {
            var meanwhile = new OtherWork();
            (double Share, double Limit) measured = round();
            if (meanwhile.Used < Undisturbed) undisturbed.Add(measured);
        }
        string busy = OtherWork.IsKnown
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"others used {others.Used:0.0} of {Environment.ProcessorCount} processors")
                : "the system does not say whether others were at work";
        Assert.SkipUnless(
            undisturbed.Count > done / 2,
            $"The machine is busy elsewhere: {busy}, {undisturbed.Count} of {done} rounds were undisturbed, most " +
            "of them must be.");
        string found =
            string.Create(
                CultureInfo.InvariantCulture,
                $"{name}: {Share():0.000} of {Limit() / 1e9:0.0} G{unit}, expected at least {least:0.000}; {busy}, " +
                $"{undisturbed.Count} of {done} rounds were undisturbed");
        TestContext.Current.TestOutputHelper?.WriteLine(found);
        if (RecordedShares.IsRecording) RecordedShares.Record(name, new RecordedShare(Share(), Limit()));
        if (Share() >= least) return null;
        Assert.SkipUnless(
            OtherWork.IsKnown && others.Used < Undisturbed, $"The machine may be busy elsewhere. {found}");
        Assert.SkipWhen(
            Limit() > Alike * recorded!.Limit,
            string.Create(
                CultureInfo.InvariantCulture,
                $"This machine is faster than the one that was recorded, {recorded.Limit / 1e9:0.0} G{unit}. {found}"));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{found}. That is {Kept} of the {recorded.Share:0.000} that {RecordedShares.Source} has for " +
            $"\"{RecordedShares.Kind}\". If the fall has a good reason, record anew on an idle machine: " +
            $"{RecordedShares.Command}");
    }
}
