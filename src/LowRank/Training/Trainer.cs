using LowRank.Data;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>The training loop: micro-batches, one summed loss a step divided by all its labels, clipping, AdamW.</summary>
/// <remarks>Synchronous, on the calling thread, which owns the model while it runs. What belongs to a step lives in a
/// dispose scope of its own: memory does not grow with the number of steps.</remarks>
public sealed class Trainer
{
    private readonly IObjective objective;
    private readonly ITrainedWeights trained;
    private readonly TrainingOptions options;
    private readonly ITrainingObserver observer;
    private readonly string outputFolder;

    /// <summary>Prepares a run of next-token prediction.</summary>
    public Trainer(Decoder model, ITrainedWeights trained, TrainingOptions options, string outputFolder, ITrainingObserver observer)
        : this(new CausalObjective(model), trained, options, outputFolder, observer)
    {
    }

    /// <summary>Prepares a run.</summary>
    /// <param name="objective">The task, on the model with its adapter attached if there is one.</param>
    /// <param name="trained">What is trained and how it is saved.</param>
    /// <param name="options">The settings.</param>
    /// <param name="outputFolder">Receives the trained weights, the best ones, and checkpoints.</param>
    /// <param name="observer">Hears of every step and evaluation.</param>
    public Trainer(IObjective objective, ITrainedWeights trained, TrainingOptions options, string outputFolder, ITrainingObserver observer)
    {
        (this.objective, this.trained, this.options, this.observer) = (objective, trained, options, observer);
        this.outputFolder = Path.GetFullPath(outputFolder);
    }

    /// <summary>Trains, evaluates, and saves the last weights (and the best, when there is validation data).</summary>
    /// <param name="training">The examples to learn from; at least one.</param>
    /// <param name="validation">Held-out examples; empty for none.</param>
    /// <param name="resume">True goes on from the newest checkpoint in the output folder; an error when there is none.</param>
    /// <param name="cancellation">Ends the run after the current step; the weights so far are saved.</param>
    /// <exception cref="InputException">No example to train on, or nothing to resume from.</exception>
    /// <exception cref="NonFiniteLossException">The loss is no longer a number; what was saved before stays.</exception>
    public TrainingResult Run(IReadOnlyList<IExample> training, IReadOnlyList<IExample> validation,
        bool resume = false, CancellationToken cancellation = default)
    {
        if (training.Count == 0) throw new InputException("There is no example to train on. Check data.train.");
        var batches = new BatchPlan(training, options.BatchSize, options.GradientAccumulation, options.Shuffle, options.Seed, objective.Arranger);
        var state = new RunState(options.PlannedSteps(batches.StepsPerEpoch));
        var schedule = new LearningRateSchedule(options.Schedule, options.LearningRate, options.PlannedWarmup(state.TotalSteps), state.TotalSteps);
        using var runner = new StepRunner(objective, trained, options);
        var checkpoints = new CheckpointStore(Path.Combine(outputFolder, "checkpoints"), trained, runner.Optimizer, runner.Dropout);
        trained.Rules.Start(state.TotalSteps, options.LearningRate);
        if (resume) checkpoints.RestoreNewest(state);

        observer.Started(new TrainingPlan(state.TotalSteps, training.Count, trained.Weights.Sum(w => w.Value.numel()),
            TotalParameters(), outputFolder));
        long evaluateEvery = validation.Count == 0 ? 0 : options.EvaluateEvery ?? batches.StepsPerEpoch;
        while (state.Step < state.TotalSteps && !cancellation.IsCancellationRequested)
        {
            StepOutcome outcome = runner.Run(batches.Step(state.Step), schedule.At(state.Step), state.Step + 1);
            state.Count(outcome.Tokens, outcome.Loss, outcome.Elapsed);
            observer.Stepped(new TrainingStep(state.Step, outcome.Loss, outcome.GradientNorm, schedule.At(state.Step - 1), outcome.Tokens, state.TokensPerSecond, state.Elapsed));
            bool last = state.Step == state.TotalSteps;
            if (evaluateEvery > 0 && (state.Step % evaluateEvery == 0 || last)) EvaluateAndKeepBest(validation, state);
            if (options.SaveEvery is { } every && (state.Step % every == 0 || last)) checkpoints.Save(state);
        }
        trained.Save(Path.Combine(outputFolder, trained.FolderName));
        TrainingResult result = state.Result(Path.Combine(outputFolder, trained.FolderName));
        observer.Finished(result);
        return result;
    }

    /// <summary>The mean loss over all labels of the examples, without dropout.</summary>
    public EvaluationResult Evaluate(IReadOnlyList<IExample> examples, long step = 0) =>
        Evaluation.Run(objective, examples, options.EvaluationBatchSize, step);

    private void EvaluateAndKeepBest(IReadOnlyList<IExample> validation, RunState state)
    {
        EvaluationResult result = Evaluate(validation, state.Step);
        observer.Evaluated(result);
        if (!state.IsBest(result)) return;
        trained.Save(Path.Combine(outputFolder, "best"));
    }

    private long TotalParameters()
    {
        var known = objective.Network.Parameters.Values.ToHashSet(ReferenceEqualityComparer.Instance);
        return objective.Network.ParameterCount + trained.Weights.Where(w => !known.Contains(w.Value)).Sum(w => w.Value.numel());
    }
}
