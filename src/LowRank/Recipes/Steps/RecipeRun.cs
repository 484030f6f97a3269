using LowRank.Adapters;
using LowRank.Hub;
using LowRank.Kernels.Native;
using LowRank.Models;
using LowRank.Recipes.Steps;
using LowRank.Tokenizers;
using LowRank.Training;

namespace LowRank.Recipes;

/// <summary>The run that a recipe describes: opens and checks everything it refers to, then trains and
/// compares.</summary>
/// <remarks>Belongs to the thread that prepared it.</remarks>
public sealed class RecipeRun : IDisposable, IWorded
{
    private readonly RunParts parts;
    private readonly RunComparer comparer;
    private readonly RunTraining training;
    private readonly long programBytes;
    private readonly List<Words> notes;
    private Wording wording;

    private RecipeRun(
        RunParts parts, IReadOnlyList<string> advice, RunPreparation preparation, long programBytes)
    {
        (this.parts, this.programBytes) = (parts, programBytes);
        (notes, Stages, Advice) = (preparation.Notes, preparation.Stages, advice);
        wording = parts.Recipe.Named;
        comparer = new RunComparer(parts);
        training = new RunTraining(parts, comparer, Notes, Advice);
    }

    /// <summary>The recipe.</summary>
    public Recipe Recipe => parts.Recipe;

    /// <summary>The base model.</summary>
    public PretrainedModel Model => parts.Model;

    /// <summary>Its tokenizer; null if the folder has none.</summary>
    public Tokenizer? Tokenizer => parts.Tokenizer;

    /// <summary>The adapter, attached; null with method full.</summary>
    public Adapter? Adapter => parts.Attached.Adapter;

    /// <summary>Number of trained weights.</summary>
    public long TrainedParameters => parts.TrainedParameters;

    /// <summary>Number of optimizer steps in the whole run.</summary>
    public long PlannedSteps => parts.PlannedSteps;

    /// <summary>Numbers of training and held-out rows.</summary>
    public (int Training, int Validation) Rows => (parts.Data.Examples.Count, parts.Data.Validation.Count);

    /// <summary>The preparation steps, in order, with the time of each.</summary>
    internal IReadOnlyList<RunStage> Stages { get; }

    /// <summary>Notes for the user before the run starts, one sentence each.</summary>
    public IReadOnlyList<string> Notes => [.. notes.Select(note => note.In(wording))];

    /// <summary>Choices in the recipe that are known to fail, and alternatives; one or two sentences each. Nothing is
    /// changed or stopped.</summary>
    public IReadOnlyList<string> Advice { get; }

    /// <summary>Notes that are only known during the run, one sentence each: on the rows of a stream so far, and on
    /// texts that filled the model's context.</summary>
    public IReadOnlyList<string> LateNotes =>
        [.. (parts.Data.Stream?.Notes ?? []).Concat(comparer.Notes).Select(note => note.In(wording))];

    /// <summary>The folder that the files of an earlier run in the same output folder were moved to; null if there was
    /// none.</summary>
    public string? EarlierRun => training.EarlierRun;

    /// <summary>Reads the recipe of a run that follows at once, and loads libtorch on another thread
    /// meanwhile.</summary>
    /// <param name="path">The recipe's file.</param>
    /// <param name="overrides">Changes, as for <see cref="Recipe.Load(string, IReadOnlyList{string})"/>.</param>
    /// <exception cref="InputException">The recipe has problems; the message lists all of them.</exception>
    public static Recipe Load(string path, IReadOnlyList<string> overrides)
    {
        // Nothing is loaded for a recipe that is not there.
        Task library = File.Exists(path) ? Task.Run(NativeRuntime.Initialize) : Task.CompletedTask;
        try
        {
            return Recipe.Load(path, overrides);
        }
        finally
        {
            // A program must not end in the midst of it. If it failed, Prepare says why.
            Task.WhenAny(library).Wait();
        }
    }

    /// <summary>Opens the model, reads the data and attaches the adapter. Nothing is written.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="progress">Receives the progress of downloads from the Hub; null for none.</param>
    /// <exception cref="InputException">Something that the recipe refers to is missing or incompatible; the message
    /// lists all problems.</exception>
    /// <exception cref="HubException">The model must be downloaded, and the Hub could not be reached.</exception>
    public static RecipeRun Prepare(Recipe recipe, IHubProgress? progress = null) =>
        Prepare(recipe, progress, hub: null, lender: null, CancellationToken.None);

    /// <inheritdoc cref="Prepare(Recipe, IHubProgress?)"/>
    /// <param name="recipe">The recipe.</param>
    /// <param name="progress">Receives the progress of downloads from the Hub; null for none.</param>
    /// <param name="hub">The Hub; null uses the environment's.</param>
    /// <param name="lender">Lends the base where the caller has it open: it is trained instead of a second one, and not
    /// disposed of. Null for nobody.</param>
    /// <param name="cancellation">Ends the preparation before its next step or row.</param>
    /// <exception cref="OperationCanceledException">The preparation was cancelled.</exception>
    internal static RecipeRun Prepare(
        Recipe recipe, IHubProgress? progress, HubOptions? hub, BaseLender? lender, CancellationToken cancellation) =>
        recipe.Named.Do(() => PrepareParts(recipe, progress, hub, lender, cancellation));

    private static RecipeRun PrepareParts(
        Recipe recipe, IHubProgress? progress, HubOptions? hub, BaseLender? lender, CancellationToken cancellation)
    {
        RunPreparation preparation = RunPreparation.Begin(recipe, cancellation);
        List<Words> notes = preparation.Notes;
        List<Problem> problems = preparation.Problems;
        RunMachine machine = RunMachine.Start(recipe, preparation);
        FetchedFolders? folders = preparation.Try("fetching", () => FetchedFolders.Fetch(recipe, progress, hub));
        OpenedBase? opened = folders is null ? null
            : preparation.Try("model", () => OpenedBase.Open(recipe, folders, machine, lender, notes));
        RunParts? parts = opened is null ? null : RunParts.Complete(recipe, folders!, opened, preparation);
        if (opened is null)
            problems.AddRange(FetchedFolders.MissingData(recipe.Data)
                .Where(missing => !problems.Exists(problem => problem.ToString() == missing))
                .Select(missing => new Problem(missing)));
        try
        {
            IReadOnlyList<string>? advice = null;
            if (problems.Count == 0) preparation.Try("keys", () => problems.AddRange(parts!.CheckKeys(notes)));
            // It reads the first rows of a stream, which may be wrong.
            if (problems.Count == 0) advice = preparation.Try("advice", () => parts!.Advice);
            preparation.ThrowIfAny();
            return new RecipeRun(parts!, advice!, preparation, machine.ProgramBytes);
        }
        catch
        {
            parts?.Dispose();
            throw;
        }
    }

    /// <summary>Trains, and writes the weights, the metrics and the resolved recipe into the output folder.</summary>
    /// <param name="observer">Receives progress, in addition to <c>metrics.jsonl</c>.</param>
    /// <param name="resume">True continues from the newest checkpoint in the output folder.</param>
    /// <param name="cancellation">Ends the run after the current step; the current weights and a checkpoint for
    /// resuming are saved.</param>
    /// <exception cref="InputException">There is nothing to resume from, or another run is writing to the output
    /// folder.</exception>
    /// <exception cref="RunStorageException">The output folder cannot be written to; earlier saves remain.</exception>
    public TrainingResult Train(
        ITrainingObserver observer, bool resume = false, CancellationToken cancellation = default) =>
        Recipe.Named.Do(() => training.Train(observer, resume, cancellation));

    /// <summary>Whether <see cref="ComputeReference"/> has something to do.</summary>
    public bool PrecomputesReference => training.PrecomputesReference;

    /// <summary>With <c>objective.reference: precomputed</c>, computes the reference's log-probabilities of all rows,
    /// or takes them from the cache; otherwise does nothing. <see cref="Train"/> does it where it was not
    /// done.</summary>
    /// <param name="progress">Receives the number of rows done and of all rows; null for nobody.</param>
    public void ComputeReference(IProgress<(int Done, int Rows)>? progress = null) =>
        training.ComputeReference(progress);

    /// <summary>Measures the model on the comparison's rows; null if the recipe requests no comparison.</summary>
    /// <param name="progress">Receives the number of rows done and of all rows, on this thread and after each batch and
    /// token; a text in the making counts by its tokens. Null for nobody.</param>
    /// <exception cref="NonFiniteException">Its outputs on them are not finite.</exception>
    public ComparisonSide? Measure(IProgress<(int Done, int Rows)>? progress = null) => comparer.Measure(progress);

    /// <summary>The measurement before the first step. A resumed run reuses the one from its start if the comparison is
    /// the same.</summary>
    /// <param name="resume">Whether the run continues from a checkpoint.</param>
    /// <param name="measure">Measures, if necessary; null uses <see cref="Measure"/>.</param>
    /// <returns>Null if the recipe requests no comparison.</returns>
    public ComparisonSide? MeasureBefore(bool resume, Func<ComparisonSide?>? measure = null) =>
        comparer.MeasureBefore(resume, measure ?? (() => Measure()));

    /// <summary>Combines two measurements with the prompts and the data's own completions, and writes them to
    /// <c>comparison.json</c> in the output folder.</summary>
    public Comparison Compare(ComparisonSide before, ComparisonSide after) => comparer.Compare(before, after);

    /// <summary>The estimate that needs no probe: the sizes of weights, adapter, gradients and optimizer
    /// state.</summary>
    public TrainingEstimate Sizes() => RunEstimate.Sizes(parts, programBytes);

    /// <summary>Estimates the run's needs from a few of its steps. Writes nothing; the weights keep their
    /// values.</summary>
    /// <param name="probe">How long to measure.</param>
    /// <remarks>Use it in a fresh process: peak memory is that of the process, as in a run's report.</remarks>
    public TrainingEstimate Estimate(TimeSpan probe) => RunEstimate.Probe(parts, comparer, Sizes(), probe);

    /// <summary>Describes why memory cannot hold the run; null if it may.</summary>
    /// <param name="estimate">Sizes, with or without a probe.</param>
    public string? MemoryProblem(TrainingEstimate estimate) => RunEstimate.MemoryProblem(Recipe, estimate);

    /// <summary>How the settings differ from those of the run in the output folder, which a resumed run would continue,
    /// one sentence each.</summary>
    public IReadOnlyList<string> ChangesSinceStart() =>
        [.. RecipeChanges.SinceStart(Recipe), .. training.MachineChanges()];

    /// <summary>The model's folder, downloaded if the recipe gives a name.</summary>
    public static string ModelFolder(Recipe recipe, IHubProgress? progress = null) =>
        FetchedFolders.FetchModel(recipe, progress);

    /// <summary>Words the notes, which name settings as the recipe does until then.</summary>
    public void Word(Wording wording) => this.wording = wording;

    /// <inheritdoc/>
    public void Dispose() => parts.Dispose();
}
