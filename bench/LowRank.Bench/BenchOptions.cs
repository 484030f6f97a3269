using LowRank.Pages;

namespace LowRank.Bench;

/// <summary>The options of the command line.</summary>
internal sealed record BenchOptions
{
    /// <summary>The value of <see cref="On"/> for the processor's own vectors.</summary>
    public const string Native = "native";

    /// <summary>Names of measurements; empty for all.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    /// <summary><see cref="Native"/> or the name of a <see cref="VectorLimit"/>, to run only those measurements; null
    /// for all.</summary>
    public string? On { get; init; }

    /// <summary>Whether to check that everything works, with small models and few rounds.</summary>
    public bool IsTrial { get; init; }

    /// <summary>Paths of inputs, by <see cref="MeasurementInput.Place"/>.</summary>
    public IReadOnlyDictionary<string, string> Inputs { get; init; } = new Dictionary<string, string>();

    /// <summary>The folder of the files; null for the page's own.</summary>
    public string? Output { get; init; }

    /// <exception cref="InputException">Arguments are unknown or exclude each other; the message lists all
    /// problems.</exception>
    public void Check()
    {
        string[] known = [.. Measurements.All.Select(measurement => measurement.Name)],
            limits = [Native, .. VectorLimit.All.Select(limit => limit.Name)];
        List<string> problems =
            [.. Names.Where(name => !known.Contains(name))
            .Select(name => $"\"{name}\" is no measurement; expected some of {string.Join(", ", known)}")];
        if (On is not null && !limits.Contains(On))
            problems.Add($"--on is \"{On}\"; expected one of {string.Join(", ", limits)}");
        if (IsTrial && Output is null)
            problems.Add(
                "--trial measures nothing that the page could show; name a folder for its files with --output");
        foreach ((string place, string path) in Inputs)
        {
            MeasurementInput input = MeasurementInput.All.Single(input => input.Place == place);
            if (input.IsFile && !Path.Exists(path))
                problems.Add($"{input.Option} is \"{path}\", which is not there; expected {input.Says}");
        }
        if (problems.Count > 0) throw new InputException("nothing was measured:", problems);
    }
}
