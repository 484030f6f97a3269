namespace LowRank.Cli.Bench;

/// <summary>The median, which a single lucky or disturbed round does not change.</summary>
internal static class Median
{
    /// <summary>The upper median.</summary>
    public static double Of(IReadOnlyCollection<double> numbers) => numbers.Order().ElementAt(numbers.Count / 2);

    /// <summary>The median of the quotients of each round.</summary>
    public static double OfQuotients(IEnumerable<double> numerators, IEnumerable<double> denominators) =>
        Of([.. numerators.Zip(denominators, (a, b) => a / b)]);
}
