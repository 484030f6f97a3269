using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Hub;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Training;
using Microsoft.Extensions.Logging;

namespace LowRank;

/// <summary>The rows of an adaptation as files, which a run reads several times and a resumed one again: a program's
/// rows are written into the run's folder, or a temporary one.</summary>
internal sealed class AdaptationFiles : IDisposable
{
    private static readonly JsonSerializerOptions Readable =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Dictionary<string, string> names = [];
    private readonly string? temporary;

    private AdaptationFiles(string output, string? temporary) => (Output, this.temporary) = (output, temporary);

    /// <summary>The run's folder.</summary>
    public string Output { get; }

    /// <summary>Files to learn from.</summary>
    public IReadOnlyList<string> Training { get; private set; } = [];

    /// <summary>Files of held-out rows.</summary>
    public IReadOnlyList<string> Validation { get; private set; } = [];

    /// <summary>What messages call the files that were written.</summary>
    public IReadOnlyDictionary<string, string> Names => names;

    /// <summary>Writes what is not in files.</summary>
    /// <exception cref="InputException">A row is no object, or the held-out rows are to be read in another
    /// way.</exception>
    public static async Task<AdaptationFiles> Write(
        Dataset rows, TrainingOptions options, CancellationToken cancellation)
    {
        string? temporary = options.OutputFolder is null
            ? Directory.CreateTempSubdirectory("lowrank-").FullName : null;
        var files = new AdaptationFiles(Path.GetFullPath(options.OutputFolder ?? temporary!), temporary);
        try
        {
            RequireAlike(rows, options.Validation);
            files.Training = await files.Write(rows, "rows", cancellation).ConfigureAwait(false);
            if (options.Validation is { } heldOut)
                files.Validation = await files.Write(heldOut, "validation rows", cancellation).ConfigureAwait(false);
            return files;
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        if (temporary is not null && Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
    }

    // One way of reading holds for all rows of a run.
    private static void RequireAlike(Dataset rows, Dataset? heldOut)
    {
        if (heldOut is null) return;
        var plain = Dataset.FromFiles("-");
        bool isPlain = heldOut.Columns.Count == 0 && heldOut.Template.Count == 0
            && (heldOut.Text, heldOut.Csv, heldOut.OnBadRow, heldOut.Deduplicate)
            == (plain.Text, plain.Csv, plain.OnBadRow, plain.Deduplicate);
        bool isAlike = ReferenceEquals(heldOut.Columns, rows.Columns)
            && ReferenceEquals(heldOut.Template, rows.Template)
            && (heldOut.Text, heldOut.Csv, heldOut.OnBadRow, heldOut.Deduplicate)
            == (rows.Text, rows.Csv, rows.OnBadRow, rows.Deduplicate);
        if (!isPlain && !isAlike)
            throw new InputException(
                "TrainingOptions.Validation is to be read in another way than the rows to learn from (Columns, " +
                "Template, Text, Csv, OnBadRow, Deduplicate). Leave these out: held-out rows are read as the others.");
    }

    private async Task<IReadOnlyList<string>> Write(Dataset rows, string name, CancellationToken cancellation)
    {
        if (!rows.IsHeld) return rows.Files;
        string folder = Path.Combine(Output, "rows");
        Directory.CreateDirectory(folder);
        string path = Path.Combine(folder, $".{Guid.NewGuid():n}.jsonl");
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long count = 0;
        try
        {
            var file = new FileStream(path, FileMode.CreateNew);
            await using (file.ConfigureAwait(false))
                await foreach (JsonObject row in rows.Rows(cancellation).ConfigureAwait(false))
                {
                    byte[] line = Encoding.UTF8.GetBytes(row.ToJsonString(Readable) + "\n");
                    hash.AppendData(line);
                    await file.WriteAsync(line, cancellation).ConfigureAwait(false);
                    count++;
                }
            if (count == 0) throw new InputException($"There are no {name}. Expected at least one.");
            // Equal rows are one file, so that a resumed run finds its own.
            string kept = Path.Combine(folder, $"{Convert.ToHexStringLower(hash.GetHashAndReset())[..16]}.jsonl");
            File.Move(path, kept, overwrite: true);
            names[kept] = name;
            return [kept];
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }
}

/// <summary>Runs a recipe for a <see cref="LanguageModel"/>, on its thread.</summary>
/// <param name="logger">Hears of everything.</param>
/// <param name="progress">Hears of each step and evaluation; null for nobody.</param>
internal sealed class Adaptation(ILogger logger, IProgress<TrainingProgress>? progress)
    : ITrainingObserver
{
    private readonly List<double?> losses = [];
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
    /// <param name="lent">The base without adapters, to train with where it fits; null for none.</param>
    /// <param name="cancellation">Ends it after the current step.</param>
    /// <returns>What the engine says, and the folder of the last weights.</returns>
    public TrainingResult Run(
        Recipe recipe, bool resume, HubOptions? hub, PretrainedModel? lent, CancellationToken cancellation)
    {
        using RecipeRun run = RecipeRun.Prepare(recipe, new LoggedDownload(logger, cancellation), hub, lent);
        cancellation.ThrowIfCancellationRequested();
        foreach (string note in run.Notes) logger.ModelNote(note);
        foreach (string advice in run.Advice) logger.Advised(advice);
        TrainingResult result = run.Train(this, resume, cancellation);
        if (result.Ending == RunEnding.Cancelled) cancellation.ThrowIfCancellationRequested();
        Notes = [.. run.Notes, .. run.LateNotes, .. run.Advice];
        return result;
    }

    public void Started(TrainingPlan plan)
    {
        logger.TrainingStarted(plan.TrainableParameters, plan.TotalParameters, plan.Steps, plan.Examples);
        foreach (string note in plan.Notes) logger.ModelNote(note);
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

/// <summary>Tells a logger of a download, and ends it where it is cancelled.</summary>
internal sealed class LoggedDownload(ILogger logger, CancellationToken cancellation) : IHubProgress
{
    public void Note(string message) => logger.ModelNote(message);

    public void Started(HubRepository repository, int files, long bytes) =>
        logger.Fetching(repository.ToString(), files, bytes);

    public void Received(string file, long bytes) => cancellation.ThrowIfCancellationRequested();

    public void Finished()
    {
        // The model that is opened next says so.
    }
}
