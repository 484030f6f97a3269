namespace LowRank.Cli.Bench.Lengths;

/// <summary>What a loop did over its timed steps.</summary>
internal sealed class LoopMeasurement
{
    /// <summary>Labels predicted.</summary>
    public long Labels { get; private set; }

    /// <summary>Tokens of the rows.</summary>
    public long Tokens { get; private set; }

    /// <summary>Positions computed, padding included.</summary>
    public long Positions { get; private set; }

    /// <summary>Time of each step.</summary>
    public List<double> Seconds { get; } = [];

    /// <summary>Most memory of a step, of the whole process.</summary>
    public long PeakBytes { get; set; }

    /// <summary>Loss and norm of the gradients of each step.</summary>
    public List<(double Loss, double Norm)> Results { get; } = [];

    public double LabelsPerSecond => Labels / Seconds.Sum();

    public double TokensPerSecond => Tokens / Seconds.Sum();

    public void Add(long labels, long tokens, long positions, double seconds, double loss, double norm)
    {
        (Labels, Tokens, Positions) = (Labels + labels, Tokens + tokens, Positions + positions);
        Seconds.Add(seconds);
        Results.Add((loss, norm));
    }
}
