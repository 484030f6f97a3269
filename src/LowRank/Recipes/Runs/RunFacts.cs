using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using LowRank.Data;
using LowRank.IO;
using LowRank.Training;

namespace LowRank.Recipes.Runs;

/// <summary>A run's properties and costs, stored in <c>run.json</c> in its folder. Missing values are null.</summary>
public sealed record RunFacts
{
    /// <summary>The file's name.</summary>
    public const string FileName = "run.json";

    /// <summary>The value of <see cref="State"/> during the run, and permanently if its process was killed.</summary>
    public const string Running = "running";

    /// <summary>The value of <see cref="State"/> after the last step.</summary>
    public const string Finished = "finished";

    /// <summary>The value of <see cref="State"/> if the run ended before its last planned step.</summary>
    public const string Stopped = "stopped";

    private const long LongestRun = 100L * 366 * 24 * 3600; // seconds

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The progress: <see cref="Running"/>, <see cref="Finished"/> or <see cref="Stopped"/>.</summary>
    public string? State { get; init; }

    /// <summary>Number of planned optimizer steps.</summary>
    public long? PlannedSteps { get; init; }

    /// <summary>Number of optimizer steps taken.</summary>
    public long? Steps { get; init; }

    /// <summary>Number of trained parameters.</summary>
    public long? TrainedParameters { get; init; }

    /// <summary>Number of parameters of the model and of what is trained in addition.</summary>
    public long? TotalParameters { get; init; }

    /// <summary>The type of the inputs of products with the base's frozen weights, float32 or bfloat16, also where the
    /// recipe says auto.</summary>
    public string? ComputeDtype { get; init; }

    /// <summary>The training rows.</summary>
    public RowFacts? Training { get; init; }

    /// <summary>The held-out rows; null without any.</summary>
    public RowFacts? Validation { get; init; }

    /// <summary>Number of tokens trained on so far, without padding.</summary>
    public long? Tokens { get; init; }

    /// <summary>Seconds spent in steps.</summary>
    public double? Seconds { get; init; }

    /// <summary>Peak memory of the process, in bytes.</summary>
    public long? PeakMemoryBytes { get; init; }

    /// <summary>The notes shown to the user before the run, one sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>The advice given to the user.</summary>
    public IReadOnlyList<string> Advice { get; init; } = [];

    /// <summary>Writes the file atomically.</summary>
    /// <param name="folder">The run's folder.</param>
    /// <param name="waits">Waits while the disk is full; null does not wait.</param>
    /// <exception cref="RunStorageException">The file cannot be written.</exception>
    internal void Write(string folder, StorageWait? waits = null)
    {
        string path = Path.Combine(folder, FileName);
        RunStorageException.Guard(path, () => AtomicFile.Write(path, JsonSerializer.Serialize(this, Json)), waits);
    }

    /// <summary>Parses the file's text.</summary>
    /// <param name="json">The text.</param>
    /// <exception cref="InputException">The text is not from such a file.</exception>
    public static RunFacts Parse(string json)
    {
        try
        {
            RunFacts facts = JsonSerializer.Deserialize<RunFacts>(json, Json) ?? throw new JsonException("null values");
            if (Wrong(facts) is { } words) throw new InputException($"it is not as a run writes it: {words}.");
            // The serializer accepts null for a list and in a list.
            return facts with { Notes = [.. (facts.Notes ?? []).OfType<string>()],
                Advice = [.. (facts.Advice ?? []).OfType<string>()] };
        }
        catch (JsonException e)
        {
            throw new InputException($"it is not JSON as a run writes it: {JsonWords.Of(e, json)}.", e);
        }
    }

    // No run takes a century and no count is negative: such a file is damaged or was written by hand.
    private static string? Wrong(RunFacts facts)
    {
        if (facts.Seconds is { } seconds && seconds is not (>= 0 and <= LongestRun))
            return string.Create(CultureInfo.InvariantCulture, $"seconds is {seconds}, expected 0 to {LongestRun}");
        if (facts.State is not (null or Running or Finished or Stopped))
            return $"state is \"{facts.State}\", expected {Running}, {Finished} or {Stopped}";
        (string Key, long? Value)[] counts =
        [
            ("planned_steps", facts.PlannedSteps), ("steps", facts.Steps),
                ("trained_parameters", facts.TrainedParameters), ("total_parameters", facts.TotalParameters),
            ("tokens", facts.Tokens), ("peak_memory_bytes", facts.PeakMemoryBytes),
        ];
        return counts.Where(count => count.Value < 0)
            .Select(count =>
            string.Create(CultureInfo.InvariantCulture, $"{count.Key} is {count.Value}, expected at least 0"))
            .FirstOrDefault();
    }
}

/// <summary>Stores <see cref="RunFacts"/> in a run's folder: at the start, at checkpoints, and at the end.</summary>
/// <param name="folder">The run's folder.</param>
/// <param name="facts">The facts known in advance.</param>
/// <param name="waits">Waits while the disk is full; null does not wait.</param>
internal sealed class RunFactsWriter(string folder, RunFacts facts, StorageWait? waits = null) : ITrainingObserver
{
    private RunFacts facts = facts;
    private TrainingStep? last;

    public void Started(TrainingPlan plan)
    {
        facts = facts with
        {
            State = RunFacts.Running,
            PlannedSteps = plan.Steps,
            Steps = plan.ResumedFrom ?? 0,
            TrainedParameters = plan.TrainableParameters,
            TotalParameters = plan.TotalParameters,
        };
        facts.Write(folder, waits);
    }

    public void Stepped(TrainingStep step) => last = step;

    public void Evaluated(EvaluationResult evaluation)
    {
        // Already in metrics.jsonl.
    }

    public void Saving(long step) =>
        (facts with { Steps = step, Seconds = last?.Elapsed.TotalSeconds }).Write(folder, waits);

    public void Finished(TrainingResult result) => (facts with
    {
        State = result.Steps < facts.PlannedSteps ? RunFacts.Stopped : RunFacts.Finished,
        Steps = result.Steps,
        Tokens = result.Tokens,
        Seconds = result.Elapsed.TotalSeconds,
        PeakMemoryBytes = result.PeakMemoryBytes,
    }).Write(folder, waits);
}

/// <summary>Statistics of rows of data.</summary>
/// <param name="Rows">Number of usable rows.</param>
/// <param name="Tokens">Number of their tokens, after truncation and without padding.</param>
/// <param name="Labels">Number of labels that they predict: learned tokens, or a text's label.</param>
/// <param name="Longest">Number of tokens in the longest row.</param>
public sealed record RowFacts(long Rows, long Tokens, long Labels, int Longest)
{
    /// <summary>Counts rows.</summary>
    public static RowFacts From(IReadOnlyList<IExample> rows)
    {
        // In a single pass: rows may be read from a file on demand.
        long tokens = 0, labels = 0;
        int longest = 0;
        foreach (IExample row in rows)
            (tokens, labels, longest) =
                (tokens + row.Tokens, labels + row.PredictedLabels, Math.Max(longest, row.Length));
        return new RowFacts(rows.Count, tokens, labels, longest);
    }
}
