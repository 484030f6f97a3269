using System.Globalization;
using LowRank.Cli.Bench;

namespace LowRank.SpeedTests;

/// <summary>Holds a share of the limit, never a time, against those that were recorded on machines of the same kind; on
/// a machine for which there is none, holds how fast the same work is beside libtorch's operations.</summary>
internal sealed class ShareCheck
{
    /// <summary>What is kept of the recorded share.</summary>
    public const double Kept = 0.8;

    private const int Recording = 3; // times the rounds of a test, and its patience

    private readonly string name;
    private readonly string unit;
    private readonly RecordedKind? recorded;
    private readonly MeasuredRounds measured;

    /// <summary>Skips the test where nothing can be measured.</summary>
    /// <param name="machine">Where it is measured.</param>
    /// <param name="name">The share's name in shares.json.</param>
    /// <param name="unit">Of the limit.</param>
    public ShareCheck(MeasuredMachine machine, string name, string unit)
        : this(name, unit, RecordedShares.Here, MeasuredRounds.Here(RecordedShares.IsRecording ? Recording : 1)) =>
        machine.SkipWhenDisturbed();

    /// <summary>A check against given records.</summary>
    internal ShareCheck(string name, string unit, RecordedKind? recorded, MeasuredRounds measured) =>
        (this.name, this.unit, this.recorded, this.measured) = (name, unit, recorded, measured);

    /// <summary>Measures in rounds, and more of them while the share is too low, and fails if it stays so whenever it
    /// is looked at again. Skips where the machine is busy elsewhere.</summary>
    /// <param name="rounds">Undisturbed rounds that are wanted; most of those that patience allows must be
    /// undisturbed.</param>
    /// <param name="round">Measures limit and work once, one next to the other.</param>
    /// <param name="beside">The same work beside libtorch's operations, for a machine without a record.</param>
    public void Hold(int rounds, Func<(double Share, double Limit)> round, RatioCheck beside)
    {
        if (RecordedShares.IsRecording) Record(rounds, round);
        else SeenAgain.Fail(() => Look(rounds, round, beside));
    }

    /// <summary>One look.</summary>
    /// <returns>What is wrong; null for nothing.</returns>
    internal string? Look(int rounds, Func<(double Share, double Limit)> round, RatioCheck beside)
    {
        if (recorded?.Knows(name) != true) return beside.Look(rounds, measured);
        double? Least(IReadOnlyList<(double Share, double Limit)> found) =>
            Kept * recorded.Lowest(name, Median.Of([.. found.Select(each => each.Limit)]))?.Share;
        RoundsFound<(double Share, double Limit)> found = measured.Measure(
            rounds, round, so => so.Count == 0 ? 0 : Holding(so, Least(so)));
        Assert.SkipUnless(found.Counts, $"The machine is busy elsewhere: {found.Says}, most of them must be.");
        if (Least(found.Undisturbed) is not { } least) return beside.Look(rounds, measured);
        string says = Says(found, least);
        TestContext.Current.TestOutputHelper?.WriteLine(says);
        if (found.Median(each => each.Share) >= least) return null;
        Assert.SkipUnless(found.IsQuiet, $"The machine may be busy elsewhere. {says}");
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{says}. That is {Kept} of the least that {RecordedShares.Source} has for \"{recorded.Kind}\". If the " +
            $"fall has a good reason, record anew on an idle machine: {RecordedShares.Command}");
    }

    private void Record(int rounds, Func<(double Share, double Limit)> round)
    {
        RoundsFound<(double Share, double Limit)> found = measured.Measure(Recording * rounds, round);
        Assert.SkipUnless(found.Counts, $"The machine is busy elsewhere: {found.Says}, most of them must be.");
        TestContext.Current.TestOutputHelper?.WriteLine(Says(found, 0));
        RecordedShares.Record(
            name, new RecordedShare(found.Median(each => each.Share), found.Median(each => each.Limit)));
    }

    private string Says(RoundsFound<(double Share, double Limit)> found, double least) => string.Create(
        CultureInfo.InvariantCulture,
        $"{name}: {found.Median(each => each.Share):0.000} of {found.Median(each => each.Limit) / 1e9:0.0} G{unit}, " +
        $"expected at least {least:0.000}; {found.Says}");

    // All of them where no share is recorded for such a limit.
    private static int Holding(IReadOnlyList<(double Share, double Limit)> found, double? least) =>
        found.Count(each => !(each.Share < least));
}
