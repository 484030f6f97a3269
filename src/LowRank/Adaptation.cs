using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Hub;
using LowRank.Recipes;
using LowRank.Recipes.Steps;
using LowRank.Training;
using Microsoft.Extensions.Logging;

namespace LowRank;

/// <summary>The rows of an adaptation as files, which a run reads several times and a resumed one again: a program's
/// rows are written into the run's folder, or a temporary one.</summary>
internal sealed class AdaptationFiles : IDisposable
{
    private static readonly JsonSerializerOptions Readable =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Dataset rows;
    private readonly Dataset? heldOut;
    private readonly ILogger logger;
    private readonly bool isTemporary;
    private readonly Dictionary<string, string> names = [];
    private readonly List<string> made = []; // files and folders, the outermost first
    private string? temporary;
    private bool isKept;

    /// <summary>Plans the files; nothing is written.</summary>
    public AdaptationFiles(Dataset rows, TrainingOptions options, ILogger logger)
    {
        (this.rows, heldOut, this.logger) = (rows, options.Validation, logger);
        isTemporary = string.IsNullOrWhiteSpace(options.OutputFolder);
        Output = isTemporary ? Path.GetTempPath() : Path.GetFullPath(options.OutputFolder!);
        Training = Planned(rows);
        if (heldOut is not null) Validation = Planned(heldOut);
    }

    /// <summary>The run's folder.</summary>
    public string Output { get; private set; }

    /// <summary>Files to learn from.</summary>
    public IReadOnlyList<string> Training { get; private set; }

    /// <summary>Files of held-out rows.</summary>
    public IReadOnlyList<string> Validation { get; private set; } = [];

    /// <summary>What messages call the files that were written.</summary>
    public IReadOnlyDictionary<string, string> Names => names;

    /// <summary>Deletes the temporary folder; tests put a failure in its place.</summary>
    internal Action<string> DeleteFolder { get; init; } = folder => Directory.Delete(folder, recursive: true);

    /// <summary>Writes what is not in files, on a thread of the pool.</summary>
    /// <exception cref="InputException">A row is no object, or there is none.</exception>
    /// <exception cref="RunStorageException">The folder cannot be written to.</exception>
    public async Task Write(CancellationToken cancellation)
    {
        if (isTemporary) Output = temporary = Directory.CreateTempSubdirectory("lowrank-").FullName;
        await Task.Run(async () =>
        {
            Training = await Write(rows, "rows", cancellation).ConfigureAwait(false);
            if (heldOut is not null)
                Validation = await Write(heldOut, "validation rows", cancellation).ConfigureAwait(false);
        }, cancellation).ConfigureAwait(false);
    }

    /// <summary>Says that the run begins: what was written belongs to it.</summary>
    public void Keep() => isKept = true;

    /// <summary>Deletes a temporary folder, and the rows of a run that has not begun.</summary>
    public void Dispose()
    {
        try
        {
            if (temporary is not null && Directory.Exists(temporary)) DeleteFolder(temporary);
            if (isTemporary || isKept) return;
            foreach (string path in Enumerable.Reverse(made))
            {
                if (File.Exists(path)) File.Delete(path);
                else if (Directory.Exists(path) && !Directory.EnumerateFileSystemEntries(path).Any())
                    Directory.Delete(path);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            logger.ModelWarning(
                $"{Output} could not be cleared of what is no longer needed: {e.Message.TrimEnd('.')}. Delete it.");
        }
    }

    private static IReadOnlyList<string> Planned(Dataset rows) => rows.IsHeld ? ["rows"] : rows.Files;

    private async Task<IReadOnlyList<string>> Write(Dataset set, string name, CancellationToken cancellation)
    {
        if (!set.IsHeld) return set.Files;
        string folder = Path.Combine(Output, "rows"), path = Path.Combine(folder, $".{Guid.NewGuid():n}.jsonl");
        MakeFolder(folder);
        made.Add(path);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long count = 0;
        using (FileStream file = RunStorageException.Guard(path, () => new FileStream(path, FileMode.CreateNew)))
        {
            await foreach (JsonObject row in set.Rows(cancellation).ConfigureAwait(false))
            {
                byte[] line = Encoding.UTF8.GetBytes(row.ToJsonString(Readable) + "\n");
                hash.AppendData(line);
                RunStorageException.Guard(path, () => file.Write(line));
                count++;
            }
            RunStorageException.Guard(path, file.Flush);
        }
        if (count == 0) throw new InputException($"There are no {name}. Expected at least one.");
        // Equal rows are one file, so that a resumed run finds its own.
        string kept = Path.Combine(folder, $"{Convert.ToHexStringLower(hash.GetHashAndReset())[..16]}.jsonl");
        if (!File.Exists(kept)) made.Add(kept);
        RunStorageException.Guard(kept, () => File.Move(path, kept, overwrite: true));
        names[kept] = name;
        return [kept];
    }

    private void MakeFolder(string folder)
    {
        List<string> missing = [];
        for (string? at = folder; at is not null && !Directory.Exists(at); at = Path.GetDirectoryName(at))
            missing.Add(at);
        made.AddRange(Enumerable.Reverse(missing));
        RunStorageException.Guard(folder, () => Directory.CreateDirectory(folder));
    }
}

/// <summary>Runs a recipe for a <see cref="LanguageModel"/>, on its thread.</summary>
/// <param name="logger">Hears of everything.</param>
/// <param name="progress">Hears of each step and evaluation; null for nobody.</param>
/// <param name="adapter">What is trained, and must have been made.</param>
/// <param name="files">The rows, which notes call by their names.</param>
internal sealed class Adaptation(
    ILogger logger, IProgress<TrainingProgress>? progress, AdaptedMethod adapter, AdaptationFiles files)
    : ITrainingObserver
{
    private readonly List<double?> losses = [];
    private readonly List<string> notes = [];
    private readonly List<EvaluationResult> evaluations = [];
    private TrainingProgress at = new(0, 0);

    /// <summary>The loss of each step.</summary>
    public IReadOnlyList<double?> Losses => losses;

    /// <summary>The evaluations.</summary>
    public IReadOnlyList<EvaluationResult> Evaluations => evaluations;

    /// <summary>What the user should know, a sentence each.</summary>
    public IReadOnlyList<string> Notes { get; private set; } = [];

    /// <summary>Prepares and trains.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="resume">Whether it goes on from the newest checkpoint.</param>
    /// <param name="hub">Where the Hub is; null for the environment's.</param>
    /// <param name="lender">Lends the base.</param>
    /// <param name="cancellation">Ends it after the current step.</param>
    /// <returns>What the engine says, and the folder of the last weights.</returns>
    public TrainingResult Run(
        Recipe recipe, bool resume, HubOptions? hub, BaseLender lender, CancellationToken cancellation)
    {
        var download = new ReportedDownload(logger, null, cancellation);
        using RecipeRun run = RecipeRun.Prepare(recipe, download, hub, lender, cancellation);
        if (recipe.Training.InitAdapter is null) adapter.RequireMade(run.Adapter?.Config, run.PlannedSteps);
        cancellation.ThrowIfCancellationRequested();
        files.Keep();
        Note(run.Notes);
        foreach (string advised in run.Advice) logger.Advised(advised);
        TrainingResult result = run.Train(this, resume, cancellation);
        if (result.Ending == RunEnding.Cancelled) cancellation.ThrowIfCancellationRequested();
        Note(run.LateNotes);
        Notes = [.. notes, .. run.Advice];
        return result;
    }

    private void Note(IReadOnlyList<string> given)
    {
        foreach (string note in given.Select(note => Words.Plain(note).In(AdaptationRecipe.Wording(files, adapter))))
        {
            logger.ModelNote(note);
            notes.Add(note);
        }
    }

    public void Started(TrainingPlan plan)
    {
        logger.TrainingStarted(plan.TrainableParameters, plan.TotalParameters, plan.Steps, plan.Examples);
        Note(plan.Notes);
        at = new TrainingProgress(plan.ResumedFrom ?? 0, plan.Steps);
        progress?.Report(at);
    }

    public void Stepped(TrainingStep step)
    {
        double? loss = step.Skipped is null ? step.Loss : null;
        losses.Add(loss);
        if (step.Skipped is { } reason) logger.StepSkipped(step.Step, reason);
        else logger.Stepped(step.Step, step.Loss, step.LearningRate, step.TokensPerSecond);
        at = at with
        {
            Step = step.Step,
            Loss = loss,
            LearningRate = step.LearningRate,
            TokensPerSecond = step.TokensPerSecond,
            Elapsed = step.Elapsed,
        };
        progress?.Report(at);
    }

    public void Evaluated(EvaluationResult evaluation)
    {
        evaluations.Add(evaluation);
        logger.Evaluated(evaluation.Step, evaluation.Loss);
        at = at with { ValidationLoss = evaluation.Loss, Metrics = evaluation.Metrics };
        progress?.Report(at);
    }

    public void Waiting(string message) => logger.ModelWarning(message);

    public void Finished(TrainingResult result) =>
        logger.TrainingEnded(result.Steps, result.Ending.ToString(), result.LastLoss);
}
