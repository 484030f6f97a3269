namespace LowRank.Tokenization.Templates.Values;

/// <summary>A Python range; the sandbox allows no more than 100 000 numbers.</summary>
internal sealed record RangeValue(long Start, long Stop, long Step)
{
    /// <summary>The largest number of numbers.</summary>
    public const int MaximumCount = 100_000;

    /// <summary>How many numbers it has.</summary>
    public Int128 Count
    {
        get
        {
            var distance = Step > 0 ? (Int128)Stop - Start : (Int128)Start - Stop;
            return distance <= 0 ? 0 : ((distance - 1) / Int128.Abs(Step)) + 1;
        }
    }

    /// <summary>The number at a place.</summary>
    public long this[long index] => Start + (index * Step);
}
