namespace LowRank.Cli.Report;

/// <summary>A linear scale of a chart, from values to places, with ticks at round values.</summary>
internal sealed class ChartScale
{
    private readonly double from, to;

    /// <summary>A scale over values.</summary>
    /// <param name="lowest">The lowest value.</param>
    /// <param name="highest">The highest.</param>
    /// <param name="from">Where the lowest is.</param>
    /// <param name="to">Where the highest is.</param>
    /// <param name="ticks">How many ticks there are at most.</param>
    public ChartScale(double lowest, double highest, double from, double to, int ticks)
    {
        (this.from, this.to) = (from, to);
        double size = Math.Max(Math.Abs(lowest), Math.Abs(highest));
        // Values that differ by their last digits alone are shown as equal: no ticks would fit between them.
        if (highest - lowest <= Math.Max(size * 1e-9, 1e-300)) (lowest, highest) = size <= 1e-300 ? (0, 1) : (lowest - size * 0.1, highest + size * 0.1);
        (Lowest, Highest) = (lowest, highest);
        Step = RoundStep((highest - lowest) / ticks);
        for (double at = Math.Ceiling(lowest / Step - 1e-9); at * Step <= highest + Step * 1e-9; at++) Ticks.Add(at * Step);
    }

    /// <summary>The value at the scale's beginning.</summary>
    public double Lowest { get; }

    /// <summary>The value at its end.</summary>
    public double Highest { get; }

    /// <summary>How far ticks are apart: 1, 2 or 5 times a power of ten.</summary>
    public double Step { get; }

    /// <summary>Values with a tick, rising.</summary>
    public List<double> Ticks { get; } = [];

    /// <summary>Where a value is.</summary>
    public double Place(double value) => from + (value - Lowest) / (Highest - Lowest) * (to - from);

    /// <summary>A scale whose values leave some room at both ends; from 0 where that costs little.</summary>
    public static ChartScale Roomy(double lowest, double highest, double from, double to, int ticks)
    {
        double room = (highest - lowest) * 0.05;
        return new ChartScale(lowest >= 0 && lowest < 0.6 * highest ? 0 : lowest - room, highest + room, from, to, ticks);
    }

    private static double RoundStep(double least)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(least)));
        return power * ((least / power) switch { <= 1 + 1e-9 => 1, <= 2 + 1e-9 => 2, <= 5 + 1e-9 => 5, _ => 10 });
    }
}
