using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using LowRank.Data;
using LowRank.IO;
using LowRank.Training;

namespace LowRank.Recipes.Runs;

/// <summary>What a run is and what it took, kept in <c>run.json</c> in its folder. Whatever a file does not say is
/// null.</summary>
public sealed record RunFacts
{
    /// <summary>The file's name.</summary>
    public const string FileName = "run.json";

    /// <summary>The value of <see cref="State"/> while the run goes on, and for ever where its process was
    /// killed.</summary>
    public const string Running = "running";

    /// <summary>The value of <see cref="State"/> after the last step.</summary>
    public const string Finished = "finished";

    /// <summary>The value of <see cref="State"/> where the run ended before its last planned step.</summary>
    public const string Stopped = "stopped";

    private const long LongestRun = 100L * 366 * 24 * 3600; // seconds

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>How far it came: <see cref="Running"/>, <see cref="Finished"/> or <see cref="Stopped"/>.</summary>
    public string? State { get; init; }

    /// <summary>Optimizer steps that are planned.</summary>
    public long? PlannedSteps { get; init; }

    /// <summary>Optimizer steps taken.</summary>
    public long? Steps { get; init; }

    /// <summary>Numbers that are trained.</summary>
    public long? TrainedParameters { get; init; }

    /// <summary>Numbers of the model and what is trained beside it.</summary>
    public long? TotalParameters { get; init; }

    /// <summary>The rows that are learned from.</summary>
    public RowFacts? Training { get; init; }

    /// <summary>The rows that are held out; null without any.</summary>
    public RowFacts? Validation { get; init; }

    /// <summary>Tokens trained on so far, padding left out.</summary>
    public long? Tokens { get; init; }

    /// <summary>Seconds spent in steps.</summary>
    public double? Seconds { get; init; }

    /// <summary>Most memory that the process held, in bytes.</summary>
    public long? PeakMemoryBytes { get; init; }

    /// <summary>What the user was told before the run, a sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Which choices the user was advised against.</summary>
    public IReadOnlyList<string> Advice { get; init; } = [];

    /// <summary>Writes the file, whole or not at all.</summary>
    /// <param name="folder">The run's folder.</param>
    /// <param name="waits">Waits while the disk is full; null does not.</param>
    /// <exception cref="RunStorageException">It cannot be written.</exception>
    public void Write(string folder, StorageWait? waits = null)
    {
        string path = Path.Combine(folder, FileName);
        RunStorageException.Guard(path, () => AtomicFile.Write(path, JsonSerializer.Serialize(this, Json)), waits);
    }

    /// <summary>Reads the file's text.</summary>
    /// <param name="json">The text.</param>
    /// <exception cref="InputException">It is no such file's.</exception>
    public static RunFacts Parse(string json)
    {
        try
        {
            RunFacts facts = JsonSerializer.Deserialize<RunFacts>(json, Json) ?? throw new JsonException("null values");
            if (Wrong(facts) is { } words) throw new InputException($"it is not as a run writes it: {words}.");
            // The serializer takes null for a list, and in it.
            return facts with { Notes = [.. (facts.Notes ?? []).OfType<string>()],
                Advice = [.. (facts.Advice ?? []).OfType<string>()] };
        }
        catch (JsonException e)
        {
            throw new InputException($"it is not JSON as a run writes it: {JsonWords.Of(e, json)}.", e);
        }
    }

    // No run takes a century, and no count is below zero: such a file was damaged or written by hand.
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

/// <summary>Keeps <see cref="RunFacts"/> in a run's folder: when it begins, at checkpoints, and when it ends.</summary>
/// <param name="folder">The run's folder.</param>
/// <param name="facts">What is known before.</param>
/// <param name="waits">Waits while the disk is full; null does not.</param>
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
        // metrics.jsonl holds it.
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

/// <summary>What rows of data amount to.</summary>
/// <param name="Rows">Rows that are used.</param>
/// <param name="Tokens">Their tokens, after cutting, padding left out.</param>
/// <param name="Labels">Labels that they predict: tokens that are learned, or a text's label.</param>
/// <param name="Longest">Tokens of the longest.</param>
public sealed record RowFacts(long Rows, long Tokens, long Labels, int Longest)
{
    /// <summary>Counts rows.</summary>
    public static RowFacts From(IReadOnlyList<IExample> rows)
    {
        // Once through: rows may be read from a file as they are asked for.
        long tokens = 0, labels = 0;
        int longest = 0;
        foreach (IExample row in rows)
            (tokens, labels, longest) =
                (tokens + row.Tokens, labels + row.PredictedLabels, Math.Max(longest, row.Length));
        return new RowFacts(rows.Count, tokens, labels, longest);
    }
}
