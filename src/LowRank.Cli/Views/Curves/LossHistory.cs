namespace LowRank.Cli.Views.Curves;

/// <summary>Losses of a run, however long, in a bounded number of bins of steps, each with its mean.</summary>
internal sealed class LossHistory
{
    /// <summary>How many bins are held at most: more than the dots of a wide terminal.</summary>
    public const int MostBins = 1024;

    private readonly List<(double Steps, double Losses, long Count)> bins = [];
    private long width = 1; // steps of a bin

    /// <summary>The bins that hold something: the mean of their steps, and of their losses.</summary>
    public IEnumerable<(double Step, double Loss)> Points => bins.Where(bin => bin.Count > 0).Select(bin => (bin.Steps / bin.Count, bin.Losses / bin.Count));

    /// <summary>Takes a loss; one that is no finite number is left out.</summary>
    /// <param name="step">From 0.</param>
    /// <param name="loss">In nats.</param>
    public void Add(long step, double loss)
    {
        if (!double.IsFinite(loss)) return;
        while (step / width >= MostBins) Widen();
        int place = (int)(step / width);
        while (bins.Count <= place) bins.Add(default);
        bins[place] = (bins[place].Steps + step, bins[place].Losses + loss, bins[place].Count + 1);
    }

    private void Widen()
    {
        for (int i = 0; i < bins.Count; i += 2)
        {
            (double Steps, double Losses, long Count) first = bins[i], second = i + 1 < bins.Count ? bins[i + 1] : default;
            bins[i / 2] = (first.Steps + second.Steps, first.Losses + second.Losses, first.Count + second.Count);
        }
        bins.RemoveRange((bins.Count + 1) / 2, bins.Count / 2);
        width *= 2;
    }
}
