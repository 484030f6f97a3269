namespace LowRank.Samples.Understanding;

/// <summary>An axis of a chart.</summary>
/// <param name="Label">What it measures, with the unit.</param>
/// <param name="Ticks">The marked values; the first and the last are the ends.</param>
/// <param name="IsLogarithmic">Whether equal factors are equally far apart; all values are above 0 then.</param>
public sealed record ChartAxis(string Label, IReadOnlyList<double> Ticks, bool IsLogarithmic = false)
{
    /// <summary>Where a value lies between the ends, 0 to 1; beyond them outside this range.</summary>
    public double Share(double value) => (Scale(value) - Scale(Ticks[0])) / (Scale(Ticks[^1]) - Scale(Ticks[0]));

    /// <summary>An axis whose ends hold all values, marked at 1, 2 and 5 times powers of ten.</summary>
    public static ChartAxis Around(
        string label, IEnumerable<double> values, bool logarithmic = false, bool fromZero = false)
    {
        double[] all = [.. values];
        double low = fromZero ? 0 : all.Min(), high = all.Max();
        return new ChartAxis(label, logarithmic ? Decades(low, high) : Even(low, high), logarithmic);
    }

    /// <summary>The same with fewer marks: the ends and the powers of ten between them.</summary>
    public ChartAxis AtDecades() =>
        this with { Ticks = [Ticks[0], .. Ticks.Skip(1).SkipLast(1).Where(IsPowerOfTen), Ticks[^1]] };

    private static bool IsPowerOfTen(double tick) => Math.Abs(Math.Log10(tick) - Math.Round(Math.Log10(tick))) < 1e-6;

    private static List<double> Even(double low, double high)
    {
        double rough = (high - low) / 5;
        if (rough <= 0) return [low - 1, low, low + 1];
        double power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        double step = new[] { 1, 2, 5, 10 }.Select(factor => factor * power).First(candidate => candidate >= rough);
        long first = (long)Math.Floor(low / step), last = (long)Math.Ceiling(high / step);
        return [.. Enumerable.Range(0, (int)(last - first) + 1).Select(i => Math.Round((first + i) * step, 10))];
    }

    private static List<double> Decades(double low, double high)
    {
        List<double> all =
            [.. Enumerable.Range(-8, 17)
            .SelectMany(power => new[] { 1, 2, 5 }.Select(factor => Math.Round(factor * Math.Pow(10, power), 10)))];
        int first = all.FindLastIndex(tick => tick <= low), last = all.FindIndex(tick => tick >= high);
        return all[first..(last + 1)];
    }

    private double Scale(double value) => IsLogarithmic ? Math.Log10(value) : value;
}
