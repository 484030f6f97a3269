namespace LowRank.Cli.Views.Curves;

/// <summary>A curve in a line of text.</summary>
internal static class Sparkline
{
    private const string Heights = "▁▂▃▄▅▆▇█";

    /// <summary>One block a value, or the mean of as many neighbours as it takes to fit.</summary>
    /// <param name="values">In their order.</param>
    /// <param name="scale">What is drawn lowest and highest; the same for all lines that are compared.</param>
    /// <param name="width">Characters at most.</param>
    public static string Of(IReadOnlyList<double> values, LossScale scale, int width)
    {
        if (values.Count == 0) return "";
        int count = Math.Min(width, values.Count);
        return string.Concat(Enumerable.Range(0, count).Select(place =>
        {
            int from = place * values.Count / count, to = (place + 1) * values.Count / count;
            double mean = values.Skip(from).Take(to - from).Average();
            return Heights[Math.Clamp((int)(scale.Share(mean) * Heights.Length), 0, Heights.Length - 1)];
        }));
    }
}
