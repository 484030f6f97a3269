using LowRank.Data;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>The mean loss and a task's metrics on held-out examples.</summary>
public static class Evaluation
{
    /// <summary>Evaluates next-token prediction, without gradients and dropout.</summary>
    /// <exception cref="InputException">No example predicts a label.</exception>
    public static EvaluationResult Run(
        Decoder model, IReadOnlyList<TokenizedExample> examples, int batchSize, long step) =>
        Run(new CausalObjective(model), examples, batchSize, step);

    /// <summary>Evaluates without gradients and dropout.</summary>
    /// <param name="objective">The task, on the model with its adapter attached if there is one.</param>
    /// <param name="examples">At least one predicted label in all.</param>
    /// <param name="batchSize">Examples of a batch; longer examples go with longer ones, which does not change the
    /// result.</param>
    /// <param name="step">The step to report.</param>
    /// <exception cref="InputException">No example predicts a label.</exception>
    public static EvaluationResult Run(IObjective objective, IReadOnlyList<IExample> examples, int batchSize, long step)
    {
        using var noGradient = no_grad();
        double sum = 0;
        long labels = 0;
        IMetricAccumulator? board = objective.NewBoard();
        IReadOnlyList<IExample> predicting = [.. examples.Where(example => example.PredictedLabels > 0)];
        if (predicting.Count == 0)
            throw new InputException(
                "No example predicts a label. Check that completions are not empty or cut off by max_length.");
        foreach (IReadOnlyList<IExample> rows in objective.Arranger.EvaluationBatches(predicting, batchSize))
        {
            using var scope = NewDisposeScope(); // reading a number from another device makes a tensor of its own
            using Tensor loss = objective.Sum(rows, null, board);
            sum += loss.item<float>();
            labels += rows.Sum(row => (long)row.PredictedLabels);
        }
        // What scores that are no numbers would be compared with the truth for says nothing.
        return new EvaluationResult(step, sum / labels, labels) { Metrics = double.IsFinite(sum) && board is not null
            ? board.Metrics() : new Dictionary<string, double?>() };
    }

    /// <summary>As <see cref="Run(IObjective, IReadOnlyList{IExample}, int, long)"/>, where a loss that is not finite
    /// is an error.</summary>
    /// <exception cref="NonFiniteException">The loss is not finite: it says which row's, and where that
    /// began.</exception>
    /// <exception cref="InputException">No example predicts a label.</exception>
    public static EvaluationResult RunFinite(
        IObjective objective, IReadOnlyList<IExample> examples, int batchSize, long step)
    {
        EvaluationResult result = Run(objective, examples, batchSize, step);
        if (double.IsFinite(result.Loss)) return result;
        throw Broken(objective, examples, batchSize) is { } rows
            ? FiniteOutput.Failure(
                objective.Network, $"The loss is {NonFinite.Name(result.Loss)}, first of {Place(rows[0])}", () =>
                objective.Sum(rows, null))
            : new NonFiniteException($"The loss is {NonFinite.Name(result.Loss)}.");
    }

    /// <summary>The first row whose loss is not finite by itself, else the first batch whose loss is not; null where
    /// each is.</summary>
    internal static IReadOnlyList<IExample>? Broken(
        IObjective objective, IReadOnlyList<IExample> examples, int batchSize)
    {
        using var noGradient = no_grad();
        bool Fails(IReadOnlyList<IExample> rows)
        {
            using var scope = NewDisposeScope();
            return !float.IsFinite(objective.Sum(rows, null).item<float>());
        }
        IReadOnlyList<IExample>? batch = objective.Arranger.EvaluationBatches(
            [.. examples.Where(example => example.PredictedLabels > 0)], batchSize).FirstOrDefault(Fails);
        return batch?.Select(row => (IReadOnlyList<IExample>)[row]).FirstOrDefault(Fails) ?? batch;
    }

    /// <summary>Where a row stands, as messages write it.</summary>
    internal static string Place(IExample row) => row.Place?.ToString() ?? $"a row of {row.Tokens} tokens";
}

/// <summary>How the model does on held-out examples.</summary>
/// <param name="Step">Optimizer steps taken before it; 0 before training.</param>
/// <param name="Loss">Mean loss a predicted label (a token, or a text for tasks that label texts), in nats; a squared
/// error for regression.</param>
/// <param name="Tokens">Predicted labels.</param>
public sealed record EvaluationResult(long Step, double Loss, long Tokens)
{
    /// <summary>The task's metrics by name; empty where the loss is all.</summary>
    public IReadOnlyDictionary<string, double?> Metrics { get; init; } = new Dictionary<string, double?>();

    /// <summary>What the model wrote then; empty where the run does not ask it to.</summary>
    public IReadOnlyList<GeneratedText> Generations { get; init; } = [];
}
