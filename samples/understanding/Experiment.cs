namespace LowRank.Samples.Understanding;

/// <summary>One training run.</summary>
/// <param name="Group">The question it belongs to.</param>
/// <param name="Name">What distinguishes it there.</param>
/// <param name="Value">Where it stands on the plot's horizontal axis; 0 where there is none.</param>
/// <param name="Settings">Recipe keys over the common ones, <c>key=value</c>.</param>
internal sealed record Experiment(string Group, string Name, double Value, params string[] Settings)
{
    /// <summary>Its name among all results.</summary>
    public string Key => $"{Group}/{Name}";
}
