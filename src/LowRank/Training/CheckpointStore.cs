using System.Globalization;
using System.Text.Json;
using LowRank.IO;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>Resumable states of a run: trained weights, optimizer, random state, counters, each with a
/// manifest.</summary>
/// <param name="run">The run's folder.</param>
/// <param name="trained">The trained weights.</param>
/// <param name="optimizer">The optimizer.</param>
/// <param name="dropout">The random generator.</param>
/// <param name="kept">Number of newest checkpoints to keep, besides the best.</param>
internal sealed class CheckpointStore(
    RunFolder run, ITrainedWeights trained, AdamW optimizer, Generator dropout, int kept)
{
    private const string Prefix = "step-";
    private const int Digits = 8;
    private const string MethodFile = "method.safetensors"; // the state that the adapter's method keeps between steps
    private readonly string folder = Path.Combine(run.Path, RunFolder.Checkpoints);

    /// <summary>The JSON format of checkpoints.</summary>
    public static JsonSerializerOptions Json { get; } =
        new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Writes a folder atomically; tests replace it with a full disk.</summary>
    public Action<string, Action<string>> WriteFolder { get; init; } = AtomicFolder.Write;

    /// <summary>Whether a name is a checkpoint's.</summary>
    public static bool IsCheckpoint(string name) =>
        name.Length == Prefix.Length + Digits && name.StartsWith(Prefix, StringComparison.Ordinal)
            && name.AsSpan(Prefix.Length).IndexOfAnyExceptInRange('0', '9') < 0;

    /// <summary>Writes the state and removes checkpoints that are neither among the newest nor the best.</summary>
    /// <param name="counters">The progress of the run.</param>
    /// <param name="prunes">Whether to remove older checkpoints.</param>
    /// <exception cref="RunStorageException">The checkpoint could not be written; earlier ones are
    /// unchanged.</exception>
    public void Save(CheckpointCounters counters, bool prunes = true)
    {
        run.Verify();
        string path = PathOf(counters.Step);
        void Write()
        {
            run.Verify();
            WriteFolder(path, into =>
            {
                using var scope = NewDisposeScope();
                SafeTensorsWriter.Write(Path.Combine(into, "weights.safetensors"), Cpu(trained.Weights));
                SafeTensorsWriter.Write(Path.Combine(into, "optimizer.safetensors"), Cpu(optimizer.State()));
                if (trained.Rules.State is { Count: > 0 } method)
                    SafeTensorsWriter.Write(Path.Combine(into, MethodFile), Cpu(method));
                SafeTensorsWriter.Write(
                    Path.Combine(into, "random.safetensors"), [KeyValuePair.Create("dropout", dropout.get_state())]);
                CheckpointCounters state = trained.Model is { Fingerprint: { } sha, Folder: var folder }
                    ? counters with { BaseSha = sha, BaseFolder = folder } : counters;
                File.WriteAllText(Path.Combine(into, "state.json"), JsonSerializer.Serialize(state, Json));
                CheckpointManifest.Write(into);
            });
        }
        try
        {
            if (run.Waits is { } waits) waits.Run(path, () => { Write(); return true; });
            else Write();
        }
        catch (Exception e) when (e is (IOException or UnauthorizedAccessException) and not RunStorageException)
        {
            throw new RunStorageException(
                $"The checkpoint of step {counters.Step} could not be written to {folder}: " +
                $"{e.Message.TrimEnd('.')}. {Left()}", e) { SaysWhatIsLeft = true };
        }
        if (prunes) Prune(counters.Step, counters.BestStep);
    }

    /// <summary>Loads the state of the newest intact checkpoint.</summary>
    /// <param name="data">The data of this run and its order.</param>
    /// <param name="totalSteps">The steps of this run.</param>
    /// <param name="skipped">Receives a sentence for each newer checkpoint that is damaged.</param>
    /// <exception cref="InputException">There is no checkpoint, or it belongs to another run.</exception>
    public CheckpointCounters RestoreNewest(DataOrder data, long totalSteps, ICollection<string> skipped)
    {
        foreach (string path in Existing().Reverse())
        {
            if (CheckpointManifest.Check(path) is { } problem) skipped.Add($"{path} is skipped: {problem}.");
            else return Restore(path, data, totalSteps);
        }
        if (skipped.Count > 0)
            throw new InputException(
                $"No checkpoint in {folder} is intact. Start the run anew, without {KnownSettings.Resume}:",
                [.. skipped.Select(problem => new Problem(problem) { Code = ProblemCodes.NoCheckpoint })]);
        throw None(folder);
    }

    /// <summary>Refuses an output without any checkpoint; changes nothing.</summary>
    /// <param name="output">The run's folder.</param>
    /// <exception cref="InputException">There is none.</exception>
    public static void RequireAny(string output)
    {
        if (Existing(Path.Combine(output, RunFolder.Checkpoints)).Length == 0)
            throw None(Path.Combine(output, RunFolder.Checkpoints));
    }

    private static InputException None(string folder) =>
        new(new Problem(
            $"There is no checkpoint to resume from in {folder}. A run writes one every 10 minutes, or as often as " +
            $"{KnownSettings.SaveEvery} says, and when it is stopped. Start the run anew, without " +
            $"{KnownSettings.Resume}.") { Code = ProblemCodes.NoCheckpoint });

    /// <summary>The newest intact checkpoint; null if there is none.</summary>
    public string? Newest() => Existing().LastOrDefault(path => CheckpointManifest.Check(path) is null);

    private CheckpointCounters Restore(string from, DataOrder data, long totalSteps)
    {
        CheckpointCounters counters = Counters(Path.Combine(from, "state.json"));
        if (counters.TotalSteps != totalSteps)
            throw new InputException($"{from} was made for {counters.TotalSteps} steps, this run has {totalSteps}. " +
                "Resume with the same recipe and data, or choose another output.");
        if (OtherBase(counters) is { } other)
            throw new InputException(
                $"{from} belongs to another base: {other}. What was learned is a change of other weights. Resume " +
                "with the base that the run began with, or choose another output.");
        if (data.Differences(counters.Data).ToList() is { Count: > 0 } differences)
            throw new InputException(
                $"{from} was made with other data. Resume with the same recipe and data, or choose another output:",
                differences);
        using var weights = SafeTensorsFile.Open(Path.Combine(from, "weights.safetensors"));
        using var moments = SafeTensorsFile.Open(Path.Combine(from, "optimizer.safetensors"));
        using var random = SafeTensorsFile.Open(Path.Combine(from, "random.safetensors"));
        Copy(trained.Weights, weights, from);
        if (trained.Rules.State is { Count: > 0 } method)
        {
            using var saved = SafeTensorsFile.Open(Path.Combine(from, MethodFile));
            Copy(method, saved, from);
        }
        Copy(optimizer.State(), moments, from);
        optimizer.Resume(counters.OptimizerSteps);
        using Tensor randomState = random.Map("dropout");
        dropout.set_state(randomState);
        return counters;
    }

    private string? OtherBase(CheckpointCounters counters)
    {
        if (counters.BaseSha is not { } before || trained.Model is not { Fingerprint: { } now, Folder: var folder }
            || before == now)
            return null;
        string change = counters.BaseFolder is { } began && Path.GetFullPath(began) != Path.GetFullPath(folder)
            ? $"model was {began} when the run began, and is {folder} now, with other weights"
            : $"the weights of {folder} have changed since the run began";
        return $"{change} (fingerprint {BaseFingerprint.Short(before)}… then, {BaseFingerprint.Short(now)}… now)";
    }

    // Checkpoints of later steps come from an earlier attempt of this run; they are replaced when it gets there.
    private void Prune(long step, long? best)
    {
        IEnumerable<string> reached = Existing().TakeWhile(path => string.CompareOrdinal(path, PathOf(step)) <= 0);
        string? bestPath = best is { } at ? PathOf(at) : null;
        foreach (string old in reached.SkipLast(kept).Where(path => path != bestPath))
        {
            try
            {
                Directory.Delete(old, recursive: true);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new RunStorageException(
                    $"The old checkpoint {old} could not be removed: {e.Message.TrimEnd('.')}. {Left()}",
                    e) { SaysWhatIsLeft = true };
            }
        }
    }

    /// <summary>What remains of the run if it cannot write, and what to do.</summary>
    public Words Left()
    {
        const string Advice = "Check that the disk is available, has space and is writable";
        try
        {
            return Newest() is { } newest
                ? Words.Of(
                    $"The newest intact checkpoint is {newest}. {Advice}, then resume the run" +
                    $"{KnownSettings.Resume.Aside}.")
                : Words.Of(
                    $"There is no checkpoint to resume from, so the progress is lost when the process ends. " +
                    $"{Advice}, then start again; {KnownSettings.SaveEvery} says how often checkpoints are written.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Words.Of(
                $"{Advice}. The disk does not show whether there is a checkpoint; if there is one, resume the " +
                $"run{KnownSettings.Resume.Aside}.");
        }
    }

    private static CheckpointCounters Counters(string path)
    {
        string text = SmallFile.ReadText(path);
        try
        {
            return JsonSerializer.Deserialize<CheckpointCounters>(text, Json)
                ?? throw new InputException($"{path} is empty; expected the state of a run.");
        }
        catch (JsonException e)
        {
            throw new InputException(
                $"{path} does not hold the state of a run: {JsonWords.Of(e, text)}. It may be of another " +
                $"version; start the run anew, without {KnownSettings.Resume}.", e);
        }
    }

    private static void Copy(IReadOnlyList<KeyValuePair<string, Tensor>> into, SafeTensorsFile weights, string where)
    {
        var expected = into.Select(w => w.Key).ToHashSet();
        List<string> problems =
        [
            .. expected.Where(name => !weights.Entries.ContainsKey(name)).Select(name => $"missing: {name}"),
            .. weights.Entries.Keys.Where(name => !expected.Contains(name)).Select(name => $"unexpected: {name}"),
            .. into.Where(
                w => weights.Entries.TryGetValue(w.Key, out SafeTensorsEntry? e)
                && !e.Shape.SequenceEqual(w.Value.shape))
                .Select(w =>
                $"wrong shape: {w.Key} is [{string.Join(", ", weights.Entries[w.Key].Shape)}], expected " +
                $"[{string.Join(", ", w.Value.shape)}]"),
        ];
        if (problems.Count > 0) throw new InputException($"{where} does not belong to this recipe:", problems);
        using var noGradient = no_grad();
        foreach ((string name, Tensor weight) in into)
        {
            using Tensor saved = weights.Map(name);
            weight.copy_(saved);
        }
    }

    private string PathOf(long step) =>
        Path.Combine(folder, Prefix + step.ToString($"D{Digits}", CultureInfo.InvariantCulture));

    private string[] Existing() => Existing(folder);

    private static string[] Existing(string folder) => Directory.Exists(folder)
        ? [.. Directory.GetDirectories(folder, Prefix + "*").Where(path => IsCheckpoint(Path.GetFileName(path)))
        .Order(StringComparer.Ordinal)]
        : [];

    private static List<KeyValuePair<string, Tensor>> Cpu(IReadOnlyList<KeyValuePair<string, Tensor>> tensors) =>
        [.. tensors.Select(t => KeyValuePair.Create(t.Key, t.Value.detach().cpu()))];
}

/// <summary>A file of a checkpoint in its manifest.</summary>
/// <param name="Name">Its name in the folder.</param>
/// <param name="Bytes">Its size in bytes.</param>
/// <param name="Sha256">Its SHA-256, in lower-case hexadecimal digits.</param>
internal sealed record CheckpointFile(string Name, long Bytes, string Sha256);
