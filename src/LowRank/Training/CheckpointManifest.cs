using System.Security.Cryptography;
using System.Text.Json;
using LowRank.Data;

namespace LowRank.Training;

/// <summary>The manifest of a checkpoint's folder. It is the last file written, so a damaged checkpoint can be
/// recognised.</summary>
/// <param name="Format">The version of the layout, 1.</param>
/// <param name="Files">All other files.</param>
internal sealed record CheckpointManifest(int Format, IReadOnlyList<CheckpointFile> Files)
{
    /// <summary>The manifest's name.</summary>
    public const string FileName = "manifest.json";

    private const int CurrentFormat = 1;

    /// <summary>Creates the manifest of a folder.</summary>
    public static void Write(string folder)
    {
        CheckpointFile[] files = [.. Directory.GetFiles(folder).Order(StringComparer.Ordinal)
            .Select(path => new CheckpointFile(Path.GetFileName(path), new FileInfo(path).Length, Hash(path)))];
        File.WriteAllText(
            Path.Combine(folder, FileName),
            JsonSerializer.Serialize(new CheckpointManifest(CurrentFormat, files), CheckpointStore.Json));
    }

    /// <summary>Compares every byte of a folder with its manifest.</summary>
    /// <returns>What is wrong; null for an intact checkpoint.</returns>
    public static string? Check(string folder)
    {
        try
        {
            string path = Path.Combine(folder, FileName);
            if (!File.Exists(path)) return $"it has no {FileName}";
            CheckpointManifest? manifest = JsonSerializer.Deserialize<CheckpointManifest>(
                SmallFile.ReadText(path), CheckpointStore.Json);
            if (manifest is not { Files: not null }) return $"its {FileName} is empty";
            if (manifest.Format != CurrentFormat)
                return $"its {FileName} has format {manifest.Format}; this version reads {CurrentFormat}";
            if (manifest.Files.Any(file => file is not { Name.Length: > 0, Sha256: not null }))
                return $"its {FileName} lists a file without a name or a hash";
            return manifest.Files.Select(file => Problem(folder, file)).FirstOrDefault(problem => problem is not null);
        }
        catch (JsonException e)
        {
            return $"its {FileName} is torn: {e.Message.Split(" Path:")[0].Split(" LineNumber:")[0].TrimEnd('.')}";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"it cannot be read: {e.Message}";
        }
    }

    private static string? Problem(string folder, CheckpointFile file)
    {
        string path = Path.Combine(folder, Path.GetFileName(file.Name));
        if (!File.Exists(path)) return $"{file.Name} is missing";
        long bytes = new FileInfo(path).Length;
        if (bytes != file.Bytes) return $"{file.Name} has {bytes:n0} bytes of {file.Bytes:n0}";
        return Hash(path) == file.Sha256 ? null : $"{file.Name} has other bytes than were written";
    }

    private static string Hash(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}

/// <summary>The numbers of a checkpoint's <c>state.json</c>.</summary>
internal sealed record CheckpointCounters
{
    /// <summary>Steps taken, including skipped ones.</summary>
    public required long Step { get; init; }

    /// <summary>Total steps of the run.</summary>
    public required long TotalSteps { get; init; }

    /// <summary>Steps taken by the optimizer.</summary>
    public required long OptimizerSteps { get; init; }

    /// <summary>Tokens trained on.</summary>
    public required long Tokens { get; init; }

    /// <summary>Seconds spent in steps.</summary>
    public required double Seconds { get; init; }

    /// <summary>Duration of the run in seconds, including evaluations and checkpoints.</summary>
    public double RunSeconds { get; init; }

    /// <summary>Steps skipped because their loss or gradient was not finite.</summary>
    public long Skipped { get; init; }

    /// <summary>Number of skipped steps in a row at the end.</summary>
    public long SkippedInRow { get; init; }

    /// <summary>The step of the last evaluation; null without one.</summary>
    public long? EvaluatedStep { get; init; }

    /// <summary>Evaluations in a row without a better held-out loss.</summary>
    public int Waited { get; init; }

    /// <summary>The held-out loss to improve on; null without an evaluation.</summary>
    public double? LossToBeat { get; init; }

    /// <summary>Loss of the last step that was not skipped; null without one.</summary>
    public double? LastLoss { get; init; }

    /// <summary>The lowest held-out loss; null without an evaluation.</summary>
    public double? BestLoss { get; init; }

    /// <summary>The step after which it was measured.</summary>
    public long? BestStep { get; init; }

    /// <summary>The data and the order of its rows.</summary>
    public required DataOrder Data { get; init; }

    /// <summary>The folder of the base.</summary>
    public string? BaseFolder { get; init; }

    /// <summary>The fingerprint of the base's weights; null if they were random, and in checkpoints of older
    /// versions.</summary>
    public string? BaseSha { get; init; }

    /// <summary>Completed passes over the data, for readers of the file; follows from the step.</summary>
    public long Epoch { get; init; }

    /// <summary>Steps taken in the current pass.</summary>
    public long StepOfEpoch { get; init; }

    /// <summary>The learning rate schedule.</summary>
    public required LearningRateSchedule Schedule { get; init; }
}

/// <summary>The data of a run and its order, which together with the step number determine the position in the
/// data.</summary>
/// <param name="Rows">Training examples.</param>
/// <param name="Sha256">The hash of their lengths and labels, and of their tokens if rows contain them.</param>
/// <param name="RowsPerStep">Examples per step.</param>
/// <param name="Shuffle">Whether each epoch is shuffled.</param>
/// <param name="Seed">Seed of the shuffling.</param>
internal sealed record DataOrder(long Rows, string Sha256, long RowsPerStep, bool Shuffle, long Seed)
{
    public static DataOrder From(IReadOnlyList<IExample> examples, TrainerOptions options)
    {
        string fingerprint = examples is IFingerprinted known ? known.Fingerprint : ExampleFingerprint.Of(examples);
        return new DataOrder(examples.Count, fingerprint, (long)options.BatchSize * options.GradientAccumulation,
            options.Shuffle, options.Seed);
    }

    /// <summary>The differences from the run of a checkpoint, one sentence each; none if the order of rows is
    /// unchanged.</summary>
    public IEnumerable<Problem> Differences(DataOrder earlier)
    {
        if (Rows != earlier.Rows) yield return new Problem($"the data had {earlier.Rows} rows, and has {Rows} now");
        else if (Sha256 != earlier.Sha256)
            yield return new Problem(
                $"the rows of the data have changed (or their tokens, by {KnownSettings.MaxLength} or the tokenizer)");
        if (RowsPerStep != earlier.RowsPerStep)
            yield return new Problem(
                $"a step took {earlier.RowsPerStep} rows, and takes {RowsPerStep} now " +
                $"({KnownSettings.BatchSize} · {KnownSettings.Accumulation})");
        if (Shuffle != earlier.Shuffle)
            yield return new Problem($"{KnownSettings.Shuffle} was {(earlier.Shuffle ? "true" : "false")}");
        if (Seed != earlier.Seed)
            yield return new Problem($"{KnownSettings.Seed} was {earlier.Seed}, and is {Seed} now");
    }
}
