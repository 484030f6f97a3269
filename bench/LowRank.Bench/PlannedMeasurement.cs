using LowRank.Cli.Bench;
using LowRank.Pages;

namespace LowRank.Bench;

/// <summary>A chosen measurement and the inputs that it lacks.</summary>
/// <param name="Measurement">The measurement.</param>
/// <param name="Missing">The inputs that were not given and without which it cannot run.</param>
internal sealed record PlannedMeasurement(Measurement Measurement, IReadOnlyList<MeasurementInput> Missing)
{
    /// <summary>Chooses the measurements that the options ask for.</summary>
    /// <exception cref="InputException">A measurement was asked for by name, and its inputs were not given.</exception>
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
        if (options.Names.Count > 0 && chosen.Any(planned => !planned.CanRun))
            throw new InputException(
                "nothing was measured:",
                [.. chosen.Where(planned => !planned.CanRun).Select(planned => planned.Lack)]);
        return chosen;
    }

    /// <summary>The missing inputs and the options that give them.</summary>
    public string Lack => $"{Measurement.Name} needs " + string.Join(" and ",
        [.. Missing.Select(input => $"{input.Option} ({input.Says})"),
            .. LacksUnits ? ["a processor with AVX512_BF16 or AMX"] : Array.Empty<string>()]);

    /// <summary>Whether it can run here.</summary>
    public bool CanRun => Missing.Count == 0 && !LacksUnits;

    private bool LacksUnits => Measurement.NeedsBf16Units && Processor.Bf16Units() == "none";
}
