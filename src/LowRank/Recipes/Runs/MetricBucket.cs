using System.Runtime.InteropServices;

namespace LowRank.Recipes.Runs;

/// <summary>Neighbouring measurements as one: their lowest, their highest and their mean.</summary>
/// <param name="First">The step of the first.</param>
/// <param name="Last">The step of the last.</param>
/// <param name="Lowest">The lowest; the first of equals.</param>
/// <param name="Highest">The highest; the first of equals.</param>
/// <param name="Mean">Their mean.</param>
/// <param name="Count">How many they are.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct MetricBucket(long First, long Last, MetricPoint Lowest, MetricPoint Highest, double Mean, long Count)
{
    public static MetricBucket Of(MetricPoint point) => new(point.Step, point.Step, point, point, point.Value, 1);

    /// <summary>Together with one that follows.</summary>
    // The mean is moved, not summed: sums of large values would overflow.
    public MetricBucket With(MetricBucket next) => new(First, next.Last,
        next.Lowest.Value < Lowest.Value ? next.Lowest : Lowest,
        next.Highest.Value > Highest.Value ? next.Highest : Highest,
        Mean * ((double)Count / (Count + next.Count)) + next.Mean * ((double)next.Count / (Count + next.Count)),
        Count + next.Count);

    /// <summary>What a curve shows of it: its lowest and its highest point, in their order.</summary>
    public IEnumerable<MetricPoint> Extremes() => Lowest.Step == Highest.Step ? [Lowest] : Lowest.Step < Highest.Step ? [Lowest, Highest] : [Highest, Lowest];
}
