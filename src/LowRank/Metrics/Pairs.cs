namespace LowRank.Metrics;

/// <summary>What every comparison of two lists asks for.</summary>
internal static class Pairs
{
    public static void Check(int truth, int predicted)
    {
        if (truth != predicted) throw new ArgumentException($"There are {truth} true and {predicted} predicted items, expected as many of each.", nameof(predicted));
        if (truth == 0) throw new ArgumentException("There is nothing to measure; expected at least one item.", nameof(truth));
    }
}
