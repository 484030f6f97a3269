using System.Text.Json;
using LowRank.IO;

namespace LowRank.Samples.Understanding;

/// <summary>All that the pages show: <c>results.json</c>.</summary>
public sealed record Results
{
    private static readonly JsonSerializerOptions Format = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        RespectRequiredConstructorParameters = true,
        IgnoreReadOnlyProperties = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The machine in words.</summary>
    public string Machine { get; init; } = "";

    /// <summary>The day of the last measurement, UTC.</summary>
    public string Date { get; init; } = "";

    /// <summary>Steps of each run.</summary>
    public int Steps { get; init; }

    /// <summary>Rows of a step.</summary>
    public int BatchSize { get; init; }

    /// <summary>Test rows whose loss is measured.</summary>
    public int HeldOutRows { get; init; }

    /// <summary>Predicted tokens of those rows.</summary>
    public long HeldOutTokens { get; init; }

    /// <summary>Test rows for which texts are generated.</summary>
    public int FactRows { get; init; }

    /// <summary>Predicted tokens of the base's own kind of text.</summary>
    public long BaseTextTokens { get; init; }

    /// <summary>Weights of the base.</summary>
    public long BaseWeights { get; init; }

    /// <summary>The base before training.</summary>
    public RunResult? Untrained { get; init; }

    /// <summary>The runs by name.</summary>
    public IReadOnlyList<RunResult> Runs { get; init; } = [];

    /// <summary>Latencies by rank.</summary>
    public IReadOnlyList<LatencyResult> Latencies { get; init; } = [];

    /// <summary>What a step of each method costs.</summary>
    public IReadOnlyList<CostResult> Costs { get; init; } = [];

    /// <summary>A run by its name.</summary>
    /// <exception cref="InputException">It was not measured.</exception>
    public RunResult Run(string name) => Find(name)
        ?? throw new InputException(
            $"results.json has no run \"{name}\"; it has {string.Join(", ", Runs.Select(run => run.Name))}. " +
            "Measure it: run samples/understanding without --render.");

    /// <summary>A run by its name; null where it was not measured.</summary>
    public RunResult? Find(string name) => Runs.FirstOrDefault(run => run.Name == name);

    /// <summary>Reads the file; nothing measured where there is none.</summary>
    public static Results Load(string path) =>
        File.Exists(path) ? JsonSerializer.Deserialize<Results>(File.ReadAllText(path), Format)! : new Results();

    /// <summary>Writes the file, whole or not at all.</summary>
    public void Save(string path) => AtomicFile.Write(path, JsonSerializer.Serialize(this, Format) + "\n");

    /// <summary>With a run added, or in the place of the one of its name.</summary>
    public Results With(RunResult run) => this with { Runs = [.. Runs.Where(other => other.Name != run.Name), run] };

    /// <summary>With a latency added, or in the place of the one of its rank.</summary>
    public Results With(LatencyResult latency) =>
        this with { Latencies = [
            .. Latencies.Where(other => other.Rank != latency.Rank).Append(latency).OrderBy(other => other.Rank)] };

    /// <summary>With a cost added, or in the place of the one of its method.</summary>
    public Results With(CostResult cost) =>
        this with { Costs = [.. Costs.Where(other => other.Method != cost.Method), cost] };
}
