using LowRank.Data;
using LowRank.Models;

namespace LowRank.Training;

/// <summary>The training loop: micro-batches, one summed loss a step divided by all its labels, clipping,
/// AdamW.</summary>
/// <remarks>Synchronous, on the calling thread, which owns the model while it runs. What belongs to a step lives in a
/// dispose scope of its own: memory does not grow with the number of steps. The output folder is held by one run at a
/// time.</remarks>
public sealed class Trainer
{
    private readonly IObjective objective;
    private readonly ITrainedWeights trained;
    private readonly TrainerOptions options;
    private readonly ITrainingObserver observer;
    private readonly string outputFolder;
    private readonly RunFolder? taken;

    /// <summary>Prepares a run of next-token prediction.</summary>
    public Trainer(
        Decoder model, ITrainedWeights trained, TrainerOptions options, string outputFolder,
        ITrainingObserver observer)
        : this(new CausalObjective(model), trained, options, outputFolder, observer)
    {
    }

    /// <summary>Prepares a run.</summary>
    /// <param name="objective">The task, on the model with its adapter attached if there is one.</param>
    /// <param name="trained">What is trained and how it is saved.</param>
    /// <param name="options">The settings.</param>
    /// <param name="outputFolder">Receives the trained weights, the best ones, and checkpoints; taken while the run
    /// goes on.</param>
    /// <param name="observer">Hears of every step and evaluation.</param>
    public Trainer(IObjective objective, ITrainedWeights trained, TrainerOptions options, string outputFolder,
        ITrainingObserver observer)
    {
        (this.objective, this.trained, this.options, this.observer) = (objective, trained, options, observer);
        this.outputFolder = outputFolder;
    }

    /// <summary>Prepares a run in a folder that the caller has taken, and lets go of.</summary>
    public Trainer(IObjective objective, ITrainedWeights trained, TrainerOptions options, RunFolder folder,
        ITrainingObserver observer)
        : this(objective, trained, options, folder.Path, observer) => taken = folder;

    /// <summary>Trains, evaluates, and saves the last weights (and the best, when there is validation data).</summary>
    /// <param name="training">The examples to learn from; at least one.</param>
    /// <param name="validation">Held-out examples; empty for none.</param>
    /// <param name="resume">True goes on from the newest whole checkpoint in the output folder; an error when there is
    /// none.</param>
    /// <param name="cancellation">Ends the run after the current step; the weights so far are saved, and a checkpoint
    /// to resume from.</param>
    /// <exception cref="InputException">No example to train on, nothing to resume from, or another run writes to the
    /// folder.</exception>
    /// <exception cref="RunStorageException">The folder cannot be written to; what was saved before stays.</exception>
    /// <exception cref="NonFiniteLossException">Step after step the loss or gradient is no number; what was saved
    /// before stays.</exception>
    public TrainingResult Run(IReadOnlyList<IExample> training, IReadOnlyList<IExample> validation,
        bool resume = false, CancellationToken cancellation = default)
    {
        if (training.Count == 0) throw new InputException("There is no example to train on. Check data.train.");
        if (options.Patience is not null && (validation.Count == 0 || options.EvaluateEvery == 0))
            throw new InputException(
                "training.patience stops a run by its held-out loss, and nothing is evaluated. Give " +
                "data.validation and leave training.eval_every above 0, or remove it.");
        if (resume) CheckpointStore.RequireAny(outputFolder);
        RunFolder folder = taken ?? RunFolder.Hold(outputFolder, waits: null);
        try
        {
            using var run = new TrainingRun(objective, trained, options, observer, folder, training, validation);
            return Run(run, folder, resume, cancellation);
        }
        finally
        {
            if (taken is null) folder.Dispose();
        }
    }

    // A resume that is refused has changed nothing: the folder is claimed, and observers hear of the run, once it is
    // taken up.
    private static TrainingResult Run(TrainingRun run, RunFolder folder, bool resume, CancellationToken cancellation)
    {
        IReadOnlyList<string>? resumed = resume ? run.Resume() : null;
        try
        {
            folder.Claim();
            return run.Run(resumed, cancellation);
        }
        catch (RunStorageException e) when (!e.SaysWhatIsLeft)
        {
            throw new RunStorageException($"{e.Message} {run.Left()}", e) { SaysWhatIsLeft = true };
        }
    }

    /// <summary>The mean loss over all labels of the examples, without dropout.</summary>
    public EvaluationResult Evaluate(IReadOnlyList<IExample> examples, long step = 0) =>
        Evaluation.Run(objective, examples, options.EvaluationBatchSize, step);
}

/// <summary>What a run has done.</summary>
/// <param name="Steps">Steps, skipped ones included.</param>
/// <param name="LastLoss">Loss of the last step that was not skipped, in nats; null when there was none.</param>
/// <param name="BestStep">The step with the lowest held-out loss; null without an evaluation.</param>
/// <param name="BestLoss">The lowest held-out loss, in nats; null without an evaluation.</param>
/// <param name="Tokens">Tokens trained on, padding left out.</param>
/// <param name="Elapsed">Time spent in steps.</param>
/// <param name="PeakMemoryBytes">Most memory the process held.</param>
/// <param name="SavedFolder">The folder of what was trained.</param>
public sealed record TrainingResult(
    long Steps, double? LastLoss, long? BestStep, double? BestLoss, long Tokens, TimeSpan Elapsed, long PeakMemoryBytes,
        string SavedFolder)
{
    /// <summary>Why the run ended.</summary>
    public RunEnding Ending { get; init; }

    /// <summary>Steps that changed nothing, because their loss or gradient was not finite.</summary>
    public long SkippedSteps { get; init; }
}

/// <summary>What a run is going to do.</summary>
/// <param name="Steps">Optimizer steps in all, those of a resumed run included.</param>
/// <param name="Examples">Training examples.</param>
/// <param name="TrainableParameters">Numbers that are trained.</param>
/// <param name="TotalParameters">Numbers of the model and what is trained beside it.</param>
/// <param name="OutputFolder">The folder that receives everything.</param>
public sealed record TrainingPlan(
    long Steps, long Examples, long TrainableParameters, long TotalParameters, string OutputFolder)
{
    /// <summary>The step that a resumed run goes on after; null for a run from the start.</summary>
    public long? ResumedFrom { get; init; }

    /// <summary>What the user should know about the resuming, a sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
