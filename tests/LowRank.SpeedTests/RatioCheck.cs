using System.Globalization;

namespace LowRank.SpeedTests;

/// <summary>Holds how fast one thing is beside another that is measured in the same rounds: nothing needs to be
/// recorded for it, so it holds on every machine.</summary>
/// <param name="Name">What is compared, for messages.</param>
/// <param name="Least">The least ratio.</param>
/// <param name="Round">Measures both once; the ratio of their speeds.</param>
internal sealed record RatioCheck(string Name, double Least, Func<double> Round)
{
    /// <summary>Fails if every look finds the ratio too small. Skips where the machine is busy elsewhere.</summary>
    /// <param name="rounds">Undisturbed rounds that are wanted.</param>
    /// <param name="measured">How they are measured.</param>
    public void Hold(int rounds, MeasuredRounds measured) => SeenAgain.Fail(() => Look(rounds, measured));

    /// <summary>One look.</summary>
    /// <returns>What is wrong; null for nothing.</returns>
    public string? Look(int rounds, MeasuredRounds measured)
    {
        RoundsFound<double> found = measured.Measure(
            rounds, Round, ratios => ratios.Count(ratio => ratio >= Least));
        Assert.SkipUnless(found.Counts, $"The machine is busy elsewhere: {found.Says}, most of them must be.");
        double ratio = found.Median(each => each);
        string says = string.Create(
            CultureInfo.InvariantCulture, $"{Name}: {ratio:0.00}, expected at least {Least:0.00}; {found.Says}");
        TestContext.Current.TestOutputHelper?.WriteLine(says);
        if (ratio >= Least) return null;
        Assert.SkipUnless(found.IsQuiet, $"The machine may be busy elsewhere. {says}");
        return says;
    }
}
