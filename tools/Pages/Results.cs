using System.Text.Json;
using LowRank.IO;

namespace LowRank.Pages;

/// <summary>The data of the pages: <c>results.json</c>.</summary>
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

    /// <summary>A description of the machine.</summary>
    public string Machine { get; init; } = "";

    /// <summary>The day of the last measurement, UTC.</summary>
    public string Date { get; init; } = "";

    /// <summary>Steps of each run.</summary>
    public int Steps { get; init; }

    /// <summary>Rows per step.</summary>
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

    /// <summary>The cost of a step for each method.</summary>
    public IReadOnlyList<CostResult> Costs { get; init; } = [];

    /// <summary>A run by its name.</summary>
    /// <exception cref="InputException">It was not measured.</exception>
    public RunResult Run(string name) => Find(name)
        ?? throw new InputException(
            $"results.json has no run \"{name}\"; it has {string.Join(", ", Runs.Select(run => run.Name))}. " +
            "Measure it: run tools/Pages without --render.");

    /// <summary>A run by its name; null if it was not measured.</summary>
    public RunResult? Find(string name) => Runs.FirstOrDefault(run => run.Name == name);

    /// <summary>Reads the file; empty results if there is none.</summary>
    public static Results Load(string path) =>
        File.Exists(path) ? JsonSerializer.Deserialize<Results>(File.ReadAllText(path), Format)! : new Results();

    /// <summary>Writes the file atomically.</summary>
    public void Save(string path) => AtomicFile.Write(path, JsonSerializer.Serialize(this, Format) + "\n");

    /// <summary>Adds a run, or replaces the one with its name.</summary>
    public Results With(RunResult run) => this with { Runs = [.. Runs.Where(other => other.Name != run.Name), run] };

    /// <summary>Adds a latency, or replaces the one with its rank.</summary>
    public Results With(LatencyResult latency) =>
        this with { Latencies = [
            .. Latencies.Where(other => other.Rank != latency.Rank).Append(latency).OrderBy(other => other.Rank)] };

    /// <summary>Adds a cost, or replaces the one of its method.</summary>
    public Results With(CostResult cost) =>
        this with { Costs = [.. Costs.Where(other => other.Method != cost.Method), cost] };
}

/// <summary>The results of a run.</summary>
/// <param name="Name">The run's name.</param>
/// <param name="Rank">Rank of the adapter; null without one.</param>
/// <param name="LearningRate">Peak rate.</param>
/// <param name="Seed">Its seed.</param>
/// <param name="Steps">Optimizer steps taken.</param>
/// <param name="TrainedWeights">Number of trained weights.</param>
/// <param name="SavedBytes">Size of the saved weights file.</param>
/// <param name="HeldOutLoss">Mean loss of the test completions after training, in nats per token; null if training
/// diverged.</param>
/// <param name="FactsStated">Facts of the test rows that the generated texts state.</param>
/// <param name="Facts">Number of facts in the test rows.</param>
/// <param name="BaseTextLoss">Mean loss on held-out text of the base's own kind, in nats per token.</param>
/// <param name="SecondsPerStep">Median over the steps; not for comparing runs, because the machine is shared.</param>
public sealed record RunResult(
    string Name, int? Rank, double LearningRate, long Seed, long Steps, long TrainedWeights, long SavedBytes,
    double? HeldOutLoss, int FactsStated, int Facts, double? BaseTextLoss, double SecondsPerStep)
{
    /// <summary>The share of facts stated, from 0 to 1.</summary>
    public double FactShare => Facts == 0 ? 0 : (double)FactsStated / Facts;
}

/// <summary>The cost of a step of a method, measured for all methods in turn in one process.</summary>
/// <param name="Method">The value of <c>adapter.method</c>.</param>
/// <param name="Rounds">Number of rounds over all methods.</param>
/// <param name="SecondsPerStep">Mean over the steps of the shortest time of all rounds.</param>
/// <param name="ProcessorSecondsPerStep">The same for processor time, which depends less on other work on the
/// machine.</param>
/// <param name="MemoryBytes">Peak memory of the process during those steps, minus its memory with the base opened;
/// median over the rounds.</param>
public sealed record CostResult(
    string Method, int Rounds, double SecondsPerStep, double ProcessorSecondsPerStep, long MemoryBytes);

/// <summary>The time per generated token, measured in turn in one process.</summary>
/// <param name="Rank">Rank of the adapter.</param>
/// <param name="Repeats">Texts generated in each state.</param>
/// <param name="Tokens">Tokens of each text.</param>
/// <param name="BaseMilliseconds">Shortest time of the base alone, in milliseconds per token; other work only adds to
/// it.</param>
/// <param name="UnmergedMilliseconds">Shortest time with the adapter attached.</param>
/// <param name="MergedMilliseconds">Shortest time with the adapter merged into the weights.</param>
public sealed record LatencyResult(
    int Rank, int Repeats, int Tokens, double BaseMilliseconds, double UnmergedMilliseconds, double MergedMilliseconds);
