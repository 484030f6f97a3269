using static TorchSharp.torch;

namespace LowRank.Training.Preferences;

/// <summary>Means of what TRL reports of preferences, by its names.</summary>
internal sealed class PreferenceMetrics : IMetricAccumulator
{
    private readonly Dictionary<string, (double Sum, double Count)> means = new(StringComparer.Ordinal);

    /// <summary>Adds values whose mean is reported.</summary>
    /// <param name="name">The metric.</param>
    /// <param name="values">[values]; may be empty.</param>
    public void Add(string name, Tensor values)
    {
        using var scope = NewDisposeScope();
        long count = values.numel();
        if (count > 0) Add(name, values.detach().to(ScalarType.Float64).sum().item<double>(), count);
    }

    /// <summary>Adds a sum over some values.</summary>
    public void Add(string name, double sum, double count)
    {
        (double before, double number) = means.GetValueOrDefault(name);
        means[name] = (before + sum, number + count);
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, double?> Metrics() =>
        means.ToDictionary(mean => mean.Key, mean => (double?)(mean.Value.Sum / mean.Value.Count));
}
