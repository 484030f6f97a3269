namespace LowRank.Cli.Bench.Generate;

/// <summary>The number in the middle: what one lucky or one disturbed round gives does not change it.</summary>
internal static class Middle
{
    /// <summary>The upper median.</summary>
    public static double Of(IReadOnlyCollection<double> numbers) => numbers.Order().ElementAt(numbers.Count / 2);

    /// <summary>The median of quotients, each of one round.</summary>
    public static double OfQuotients(IEnumerable<double> numerators, IEnumerable<double> denominators) => Of([.. numerators.Zip(denominators, (a, b) => a / b)]);
}
