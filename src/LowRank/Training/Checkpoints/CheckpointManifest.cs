using System.Security.Cryptography;
using System.Text.Json;
using LowRank.Data;

namespace LowRank.Training;

/// <summary>What a checkpoint's folder has to hold: the last file written into it, by which a torn checkpoint is
/// recognised.</summary>
/// <param name="Format">The version of the layout, 1.</param>
/// <param name="Files">Every other file.</param>
internal sealed record CheckpointManifest(int Format, IReadOnlyList<CheckpointFile> Files)
{
    /// <summary>The manifest's name.</summary>
    public const string FileName = "manifest.json";

    private const int CurrentFormat = 1;

    /// <summary>Lists the files of a folder.</summary>
    public static void Write(string folder)
    {
        CheckpointFile[] files = [.. Directory.GetFiles(folder).Order(StringComparer.Ordinal)
            .Select(path => new CheckpointFile(Path.GetFileName(path), new FileInfo(path).Length, Hash(path)))];
        File.WriteAllText(
            Path.Combine(folder, FileName),
            JsonSerializer.Serialize(new CheckpointManifest(CurrentFormat, files), CheckpointStore.Json));
    }

    /// <summary>Compares a folder with its manifest, every byte of it.</summary>
    /// <returns>What is wrong with it; null for a whole checkpoint.</returns>
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
    /// <summary>Steps taken, skipped ones included.</summary>
    public required long Step { get; init; }

    /// <summary>Steps of the whole run.</summary>
    public required long TotalSteps { get; init; }

    /// <summary>Steps that the optimizer has taken.</summary>
    public required long OptimizerSteps { get; init; }

    /// <summary>Tokens trained on.</summary>
    public required long Tokens { get; init; }

    /// <summary>Seconds spent in steps.</summary>
    public required double Seconds { get; init; }

    /// <summary>Seconds the run has gone on, evaluations and checkpoints included.</summary>
    public double RunSeconds { get; init; }

    /// <summary>Steps that changed nothing, because their loss or gradient was not finite.</summary>
    public long Skipped { get; init; }

    /// <summary>How many of them came last, in a row.</summary>
    public long SkippedInRow { get; init; }

    /// <summary>The step of the last evaluation; null when there was none.</summary>
    public long? EvaluatedStep { get; init; }

    /// <summary>Evaluations in a row without a better held-out loss.</summary>
    public int Waited { get; init; }

    /// <summary>The held-out loss that they had to better; null without an evaluation.</summary>
    public double? LossToBeat { get; init; }

    /// <summary>Loss of the last step that was not skipped; null when there was none.</summary>
    public double? LastLoss { get; init; }

    /// <summary>The lowest held-out loss; null without an evaluation.</summary>
    public double? BestLoss { get; init; }

    /// <summary>The step it was measured after.</summary>
    public long? BestStep { get; init; }

    /// <summary>The data, and the order its rows are taken in.</summary>
    public required DataOrder Data { get; init; }

    /// <summary>The folder of the base.</summary>
    public string? BaseFolder { get; init; }

    /// <summary>The fingerprint of the base's weights; null where it was random, and in checkpoints of older
    /// versions.</summary>
    public string? BaseSha { get; init; }

    /// <summary>Whole passes over the data, for people who read the file: it follows from the step.</summary>
    public long Epoch { get; init; }

    /// <summary>Steps taken of the pass that was under way.</summary>
    public long StepOfEpoch { get; init; }

    /// <summary>The learning rate's course.</summary>
    public required LearningRateSchedule Schedule { get; init; }
}

/// <summary>Which data a run takes in which order: with it, a step's number says where in the data the run
/// is.</summary>
/// <param name="Rows">Training examples.</param>
/// <param name="Sha256">Of their lengths and labels, and of their tokens where rows hold them.</param>
/// <param name="RowsPerStep">Examples of a step.</param>
/// <param name="Shuffle">Whether each epoch has an order of its own.</param>
/// <param name="Seed">Seed of the orders.</param>
internal sealed record DataOrder(long Rows, string Sha256, long RowsPerStep, bool Shuffle, long Seed)
{
    public static DataOrder Of(IReadOnlyList<IExample> examples, TrainerOptions options)
    {
        string fingerprint = examples is IFingerprinted known ? known.Fingerprint : ExampleFingerprint.Of(examples);
        return new DataOrder(examples.Count, fingerprint, (long)options.BatchSize * options.GradientAccumulation,
            options.Shuffle, options.Seed);
    }

    /// <summary>What this run does otherwise than the one of a checkpoint, a sentence each; none when rows come as they
    /// did.</summary>
    public IEnumerable<string> Differences(DataOrder earlier)
    {
        if (Rows != earlier.Rows) yield return $"the data had {earlier.Rows} rows, and has {Rows} now";
        else if (Sha256 != earlier.Sha256)
            yield return "the rows of the data have changed (or their tokens, by training.max_length or the tokenizer)";
        if (RowsPerStep != earlier.RowsPerStep)
            yield return $"a step took {earlier.RowsPerStep} rows, and takes {RowsPerStep} now " +
                "(training.batch_size · training.gradient_accumulation)";
        if (Shuffle != earlier.Shuffle) yield return $"training.shuffle was {(earlier.Shuffle ? "true" : "false")}";
        if (Seed != earlier.Seed) yield return $"training.seed was {earlier.Seed}, and is {Seed} now";
    }
}
