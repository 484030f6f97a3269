using LowRank.Data;
using LowRank.Models;

namespace LowRank.Training;

/// <summary>The training loop: micro-batches, one summed loss per step divided by all its labels, clipping,
/// AdamW.</summary>
/// <remarks>Runs synchronously on the calling thread, which owns the model during the run. Each step has its own
/// dispose scope, so memory does not grow with the number of steps. Only one run at a time may use the output
/// folder.</remarks>
internal sealed class Trainer
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
    /// <param name="objective">The task on the model, with any adapter attached.</param>
    /// <param name="trained">The trained weights, and how to save them.</param>
    /// <param name="options">The settings.</param>
    /// <param name="outputFolder">Receives the trained weights, the best ones, and checkpoints; locked during the
    /// run.</param>
    /// <param name="observer">Notified of every step and evaluation.</param>
    public Trainer(IObjective objective, ITrainedWeights trained, TrainerOptions options, string outputFolder,
        ITrainingObserver observer)
    {
        (this.objective, this.trained, this.options, this.observer) = (objective, trained, options, observer);
        this.outputFolder = outputFolder;
    }

    /// <summary>Prepares a run in a folder that the caller locks and releases.</summary>
    public Trainer(IObjective objective, ITrainedWeights trained, TrainerOptions options, RunFolder folder,
        ITrainingObserver observer)
        : this(objective, trained, options, folder.Path, observer) => taken = folder;

    /// <summary>Trains, evaluates, and saves the last weights (and the best, if there is validation data).</summary>
    /// <param name="training">The examples to learn from; at least one.</param>
    /// <param name="validation">Held-out examples; empty for none.</param>
    /// <param name="resume">True resumes from the newest intact checkpoint in the output folder; an error if there is
    /// none.</param>
    /// <param name="cancellation">Ends the run after the current step, saving the weights so far and a checkpoint to
    /// resume from.</param>
    /// <exception cref="InputException">There is no example to train on or nothing to resume from, or another run
    /// writes to the folder.</exception>
    /// <exception cref="RunStorageException">The folder cannot be written to; everything saved before
    /// remains.</exception>
    /// <exception cref="NonFiniteLossException">Step after step the loss or gradient is not finite; everything saved
    /// before remains.</exception>
    public TrainingResult Run(IReadOnlyList<IExample> training, IReadOnlyList<IExample> validation,
        bool resume = false, CancellationToken cancellation = default)
    {
        if (training.Count == 0)
            throw new InputException($"There is no example to train on. Check {KnownSettings.TrainingData}.");
        if (options.Patience is not null && (validation.Count == 0 || options.EvaluateEvery == 0))
            throw new InputException(
                $"{KnownSettings.Patience} stops a run by its held-out loss, but nothing is evaluated. Give " +
                $"{KnownSettings.HeldOutData} and keep {KnownSettings.EvaluateEvery} above 0, or leave out " +
                $"{KnownSettings.Patience}.");
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

    // A refused resume changes nothing: the folder is claimed and observers are notified only once the run resumes.
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
            throw new RunStorageException($"{e.Statement} {run.Left()}", e) { SaysWhatIsLeft = true };
        }
    }

    /// <summary>The mean loss over all labels of the examples, without dropout.</summary>
    public EvaluationResult Evaluate(IReadOnlyList<IExample> examples, long step = 0) =>
        Evaluation.Run(objective, examples, options.EvaluationBatchSize, step);
}

/// <summary>The result of a run.</summary>
/// <param name="Steps">Number of steps, including skipped ones.</param>
/// <param name="LastLoss">Loss of the last step that was not skipped, in nats; null without one.</param>
/// <param name="BestStep">The step with the lowest held-out loss; null without an evaluation.</param>
/// <param name="BestLoss">The lowest held-out loss, in nats; null without an evaluation.</param>
/// <param name="Tokens">Number of trained tokens, without padding.</param>
/// <param name="Elapsed">Time spent in steps.</param>
/// <param name="PeakMemoryBytes">Peak memory of the process.</param>
/// <param name="SavedFolder">The folder of the trained weights.</param>
public sealed record TrainingResult(
    long Steps, double? LastLoss, long? BestStep, double? BestLoss, long Tokens, TimeSpan Elapsed, long PeakMemoryBytes,
        string SavedFolder)
{
    /// <summary>Why the run ended.</summary>
    public RunEnding Ending { get; init; }

    /// <summary>Number of steps skipped because their loss or gradient was not finite.</summary>
    public long SkippedSteps { get; init; }
}

/// <summary>The plan of a run.</summary>
/// <param name="Steps">Total number of optimizer steps, including those before a resume.</param>
/// <param name="Examples">Number of training examples.</param>
/// <param name="TrainableParameters">Number of trained weights.</param>
/// <param name="TotalParameters">Number of weights of the model and of what is trained beside it.</param>
/// <param name="OutputFolder">The folder that receives everything.</param>
public sealed record TrainingPlan(
    long Steps, long Examples, long TrainableParameters, long TotalParameters, string OutputFolder)
{
    /// <summary>The step after which a resumed run continues; null for a new run.</summary>
    public long? ResumedFrom { get; init; }

    /// <summary>Notes about the resume, one sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
