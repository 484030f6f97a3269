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

    /// <summary>Processor time of all steps: what other programs take of the machine does not count.</summary>
    public double ProcessorSeconds { get; private set; }

    /// <summary>Most memory of the whole process in the first step, which is not timed.</summary>
    public long PeakBytes { get; set; }

    /// <summary>Loss and norm of the gradients of each step.</summary>
    public List<(double Loss, double Norm)> Results { get; } = [];

    public double LabelsPerSecond => Labels / Seconds.Sum();

    public double LabelsPerProcessorSecond => Labels / ProcessorSeconds;

    public double TokensPerSecond => Tokens / Seconds.Sum();

    public void Add(long labels, long tokens, long positions, double seconds, double processor, double loss, double norm)
    {
        (Labels, Tokens, Positions) = (Labels + labels, Tokens + tokens, Positions + positions);
        Seconds.Add(seconds);
        ProcessorSeconds += processor;
        Results.Add((loss, norm));
    }
}
