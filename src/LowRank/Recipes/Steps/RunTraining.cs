using System.Security.Cryptography;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Recipes.Runs;
using LowRank.Tasks;
using LowRank.Training;
using LowRank.Training.Preferences;
using static TorchSharp.torch;

namespace LowRank.Recipes.Steps;

/// <summary>Trains a prepared run, and writes the weights, the metrics and the resolved recipe into its output
/// folder.</summary>
/// <param name="parts">The run.</param>
/// <param name="comparer">Generates texts at evaluations if the recipe requests it.</param>
/// <param name="notes">The notes shown to the user before, which are saved in the folder.</param>
/// <param name="advice">The advice given to the user.</param>
internal sealed class RunTraining(
    RunParts parts, RunComparer comparer, IReadOnlyList<string> notes, IReadOnlyList<string> advice)
{
    private readonly string output = parts.Recipe.Output;
    private bool hasReference;

    /// <summary>The folder that the files of an earlier run in the same output folder were moved to; null if there was
    /// none.</summary>
    public string? EarlierRun { get; private set; }

    /// <inheritdoc cref="RecipeRun.Train"/>
    public TrainingResult Train(ITrainingObserver observer, bool resume, CancellationToken cancellation)
    {
        if (resume) CheckpointStore.RequireAny(output);
        var waits = new StorageWait(Timeout.InfiniteTimeSpan, observer.Waiting);
        using RunFolder folder = RunFolder.Hold(output, waits);
        if (!resume) EarlierRun = PreviousRun.Keep(output, [parts.Folders.Model]);
        set_num_threads(parts.Recipe.Training.Threads ?? ProcessorCores.Usable());
        ComputeReference(progress: null);
        using var metrics = new MetricsWriter(Path.Combine(output, "metrics.jsonl"), resume, waits);
        using TensorBoardWriter? events = parts.Recipe.Training.TensorBoard
            ? new TensorBoardWriter(Path.Combine(output, "tensorboard"), waits: waits) : null;
        var observers = new ObserverGroup(
            [new RunBeginning(() => KeepBeginning(resume, waits)), metrics, new RunFactsWriter(output, Facts(), waits),
            .. events is null ? [] : new[] { events }, observer]);
        var trainer = new Trainer(parts.Data.Task, parts.Attached.Weights, RecipeOptions.Training(parts.Recipe), folder,
            comparer.Shown(observers));
        return trainer.Run(parts.Data.Examples, parts.Data.Validation, resume, cancellation);
    }

    /// <inheritdoc cref="RecipeRun.PrecomputesReference"/>
    public bool PrecomputesReference => !hasReference && parts.Recipe.Objective.Reference == ReferenceModel.Precomputed;

    /// <inheritdoc cref="RecipeRun.ComputeReference"/>
    public void ComputeReference(IProgress<(int Done, int Rows)>? progress)
    {
        if (!PrecomputesReference) return;
        Recipe recipe = parts.Recipe;
        string identity = string.Join('\n', BaseFingerprint.Compute(parts.Folders.Model), recipe.BaseDtype,
            parts.Model.ComputeDtype, recipe.BaseHead, recipe.Device, recipe.Tf32,
            parts.Folders.Start is { } start ? Fingerprint(start) : "");
        ((PreferenceTask)parts.Data.Task).Precompute(
            parts.Data.Examples.Concat(parts.Data.Validation).Concat(parts.Data.ComparisonExamples), identity,
                progress);
        hasReference = true;
    }

    private static string Fingerprint(string adapter) => string.Join('\n', Directory.GetFiles(adapter)
        .Where(file => Path.GetExtension(file) is ".safetensors" or ".bin" or ".json").Order(StringComparer.Ordinal)
        .Select(file => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)))));

    /// <summary>What the same recipe means otherwise here than where the run in the output folder began, one sentence
    /// each.</summary>
    public IEnumerable<string> MachineChanges()
    {
        string path = Path.Combine(output, RunFacts.FileName), here = parts.Model.ComputeDtype;
        if (parts.Recipe.ComputeDtype != ComputeTypes.Auto || !File.Exists(path)
            || RunFacts.Parse(SmallFile.ReadText(path)).ComputeDtype is not { } began || began == here) yield break;
        yield return $"{parts.Recipe.Name("compute_dtype")} {ComputeTypes.Auto} was {began} where the run began, and " +
            $"is {here} here";
    }

    private RunFacts Facts() => new()
    {
        // A stream is not read in advance.
        Training = parts.Data.Stream is null ? RowFacts.From(parts.Data.Examples) : null,
        Validation = parts.Data.Validation.Count > 0 ? RowFacts.From(parts.Data.Validation) : null,
        ComputeDtype = parts.Model.ComputeDtype,
        Notes = notes,
        Advice = advice,
    };

    // What the folder records about the run's start, written once the run proceeds: a rejected resume changes nothing.
    private void KeepBeginning(bool resume, StorageWait waits)
    {
        parts.Data.Stream?.KeepMarks(Path.Combine(output, "stream.marks"), waits);
        OutputFolder.Write(output, "recipe.yaml", parts.Recipe.ToYaml(), waits);
        if (!resume) comparer.KeepBefore(waits);
    }
}
