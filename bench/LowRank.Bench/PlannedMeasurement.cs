using LowRank.Pages;

namespace LowRank.Bench;

/// <summary>A measurement that was chosen, with what it lacks.</summary>
/// <param name="Measurement">Which.</param>
/// <param name="Missing">The inputs that were not given; it cannot be measured without them.</param>
internal sealed record PlannedMeasurement(Measurement Measurement, IReadOnlyList<MeasurementInput> Missing)
{
    /// <summary>Chooses.</summary>
    /// <exception cref="InputException">One was asked for by name, and what it needs was not given.</exception>
    public static IReadOnlyList<PlannedMeasurement> Choose(BenchOptions options)
    {
        PlannedMeasurement[] chosen = [.. Measurements.All
            .Where(measurement => options.Names.Count == 0 || options.Names.Contains(measurement.Name))
            .Where(measurement => options.On is null || options.On == (measurement.Limit?.Name ?? BenchOptions.Native))
            .Select(measurement =>
            new PlannedMeasurement(
                measurement, [.. measurement.Inputs.Where(input => !options.Inputs.ContainsKey(input.Place))]))];
        if (chosen.Length == 0)
            throw new InputException($"None of {string.Join(", ", options.Names)} is measured --on {options.On}.");
        if (options.Names.Count > 0 && chosen.Any(planned => planned.Missing.Count > 0))
            throw new InputException(
                "nothing was measured:",
                [.. chosen.Where(planned => planned.Missing.Count > 0).Select(planned => planned.Lack)]);
        return chosen;
    }

    /// <summary>What is missing and how to give it.</summary>
    public string Lack =>
        $"{Measurement.Name} needs {string.Join(" and ", Missing.Select(input => $"{input.Option} ({input.Says})"))}";
}
