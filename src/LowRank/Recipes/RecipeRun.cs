using LowRank.Adapters;
using LowRank.Hub;
using LowRank.Models;
using LowRank.Recipes.Steps;
using LowRank.Tokenizers;
using LowRank.Training;

namespace LowRank.Recipes;

/// <summary>The run that a recipe describes: everything it names opened and checked, then trained and
/// compared.</summary>
/// <remarks>Belongs to the thread that prepared it.</remarks>
public sealed class RecipeRun : IDisposable
{
    private readonly RunParts parts;
    private readonly RunComparer comparer;
    private readonly RunTraining training;
    private readonly long programBytes;

    private RecipeRun(RunParts parts, RunPreparation preparation, long programBytes)
    {
        (this.parts, this.programBytes) = (parts, programBytes);
        (Notes, Stages) = (preparation.Notes, preparation.Stages);
        Advice = parts.Advice;
        comparer = new RunComparer(parts);
        training = new RunTraining(parts, comparer, Notes, Advice);
    }

    /// <summary>The recipe.</summary>
    public Recipe Recipe => parts.Recipe;

    /// <summary>The base model.</summary>
    public PretrainedModel Model => parts.Model;

    /// <summary>Its tokenizer; null where the folder has none.</summary>
    public Tokenizer? Tokenizer => parts.Tokenizer;

    /// <summary>The adapter, attached; null with method full.</summary>
    public Adapter? Adapter => parts.Attached.Adapter;

    /// <summary>The number of weights that are trained.</summary>
    public long TrainedParameters => parts.TrainedParameters;

    /// <summary>Optimizer steps of the whole run.</summary>
    public long PlannedSteps => parts.PlannedSteps;

    /// <summary>Rows that are trained on, and rows that are held out.</summary>
    public (int Training, int Validation) Rows => (parts.Data.Examples.Count, parts.Data.Validation.Count);

    /// <summary>What was done to make it ready, in order, with the time of each part.</summary>
    public IReadOnlyList<RunStage> Stages { get; }

    /// <summary>What the user should know before the run starts, a sentence each.</summary>
    public IReadOnlyList<string> Notes { get; }

    /// <summary>Where choices of the recipe are known to fail, and what to choose instead; a sentence or two each.
    /// Nothing is changed or stopped.</summary>
    public IReadOnlyList<string> Advice { get; }

    /// <summary>What is known only as the run goes on, a sentence each: what became of the rows of a stream so far, and
    /// of texts that filled the model's context.</summary>
    public IReadOnlyList<string> LateNotes => [.. parts.Data.Stream?.Notes ?? [], .. comparer.Notes];

    /// <summary>Where the files of an earlier run in the same output folder were moved to; null when there was
    /// none.</summary>
    public string? EarlierRun => training.EarlierRun;

    /// <summary>Opens the model, reads the data and attaches the adapter. Nothing is written.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="progress">Hears of what is fetched from the Hub; null for nobody.</param>
    /// <exception cref="InputException">Anything that the recipe names is missing or does not fit: all problems at
    /// once.</exception>
    /// <exception cref="HubException">The model is to be fetched, and the Hub could not be reached.</exception>
    public static RecipeRun Prepare(Recipe recipe, IHubProgress? progress = null) =>
        Prepare(recipe, progress, hub: null, lent: null);

    /// <inheritdoc cref="Prepare(Recipe, IHubProgress?)"/>
    /// <param name="recipe">The recipe.</param>
    /// <param name="progress">Hears of what is fetched from the Hub; null for nobody.</param>
    /// <param name="hub">Where the Hub is; null for the environment's.</param>
    /// <param name="lent">The base, where the caller has it open without adapters: where it fits the recipe it is
    /// trained with instead of a second one, and is not disposed of. Null for none.</param>
    internal static RecipeRun Prepare(
        Recipe recipe, IHubProgress? progress, HubOptions? hub, PretrainedModel? lent)
    {
        RunPreparation preparation = RunPreparation.Begin(recipe);
        List<string> notes = preparation.Notes, problems = preparation.Problems;
        RunMachine machine = RunMachine.Start(recipe, preparation);
        FetchedFolders? folders = preparation.Try("fetching", () => FetchedFolders.Fetch(recipe, progress, hub));
        OpenedBase? opened = folders is null ? null
            : preparation.Try("model", () => OpenedBase.Open(recipe, folders, machine.Device, lent, notes));
        RunParts? parts = opened is null ? null : RunParts.Complete(recipe, folders!, opened, preparation);
        if (opened is null)
            problems.AddRange(FetchedFolders.MissingData(recipe.Data).Where(missing => !problems.Contains(missing)));
        if (problems.Count == 0)
            preparation.Try("keys", () => { problems.AddRange(parts!.CheckKeys(notes)); return true; });
        if (problems.Count > 0) parts?.Dispose();
        preparation.ThrowIfAny();
        return new RecipeRun(parts!, preparation, machine.ProgramBytes);
    }

    /// <summary>Trains, and writes the weights, the metrics and the resolved recipe into the output folder.</summary>
    /// <param name="observer">Hears of progress; <c>metrics.jsonl</c> is written besides.</param>
    /// <param name="resume">True goes on from the newest checkpoint in the output folder.</param>
    /// <param name="cancellation">Ends the run after the current step; the weights so far are saved, and a checkpoint
    /// to resume from.</param>
    /// <exception cref="InputException">There is nothing to resume from, or another run writes to the output
    /// folder.</exception>
    /// <exception cref="RunStorageException">The output folder cannot be written to; what was saved before
    /// stays.</exception>
    public TrainingResult Train(
        ITrainingObserver observer, bool resume = false, CancellationToken cancellation = default) =>
        training.Train(observer, resume, cancellation);

    /// <summary>How the model does now on the comparison's rows; null when the recipe asks for no comparison.</summary>
    /// <exception cref="NonFiniteException">It gives no finite numbers on them.</exception>
    public ComparisonSide? Measure() => comparer.Measure();

    /// <summary>How the model did before the first step. A resumed run takes what was measured when it began, where the
    /// comparison is the same.</summary>
    /// <param name="resume">Whether the run goes on from a checkpoint.</param>
    /// <param name="measure">Measures, where that is needed; null is <see cref="Measure"/>.</param>
    /// <returns>Null when the recipe asks for no comparison.</returns>
    public ComparisonSide? MeasureBefore(bool resume, Func<ComparisonSide?>? measure = null) =>
        comparer.MeasureBefore(resume, measure ?? Measure);

    /// <summary>Puts two measurements side by side with the prompts and the data's own completions, and writes them to
    /// <c>comparison.json</c> in the output folder.</summary>
    public Comparison Compare(ComparisonSide before, ComparisonSide after) => comparer.Compare(before, after);

    /// <summary>What is known without a probe: the sizes of weights, adapter, gradients and optimizer.</summary>
    public TrainingEstimate Sizes() => RunEstimate.Sizes(parts, programBytes);

    /// <summary>What the run will take, from a few of its steps. Nothing is written; the weights keep their
    /// values.</summary>
    /// <param name="probe">How long to measure.</param>
    /// <remarks>For a fresh process: the peak of memory is that of the process, as it is in what a run
    /// reports.</remarks>
    public TrainingEstimate Estimate(TimeSpan probe) => RunEstimate.Probe(parts, comparer, Sizes(), probe);

    /// <summary>Says that memory cannot hold the run, or null where it may.</summary>
    /// <param name="estimate">Sizes, with or without a probe.</param>
    public string? MemoryProblem(TrainingEstimate estimate) => RunEstimate.MemoryProblem(Recipe, estimate);

    /// <summary>What is asked for otherwise than by the run in the output folder, which a resumed run would go on with,
    /// a sentence each.</summary>
    public IReadOnlyList<string> ChangesSinceStart() => RecipeChanges.SinceStart(Recipe);

    /// <summary>The model's folder, fetched where the recipe gives a name.</summary>
    public static string ModelFolder(Recipe recipe, IHubProgress? progress = null) =>
        FetchedFolders.FetchModel(recipe, progress);

    /// <inheritdoc/>
    public void Dispose() => parts.Dispose();
}
