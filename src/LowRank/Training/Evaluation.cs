using LowRank.Data;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>The mean loss and a task's metrics on held-out examples.</summary>
public static class Evaluation
{
    /// <summary>Evaluates next-token prediction without gradients and dropout.</summary>
    /// <exception cref="InputException">No example predicts a label.</exception>
    public static EvaluationResult Run(
        Decoder model, IReadOnlyList<TokenizedExample> examples, int batchSize, long step) =>
        Run(new CausalObjective(model), examples, batchSize, step);

    /// <summary>Evaluates without gradients and dropout.</summary>
    /// <param name="objective">The task on the model, with any adapter attached.</param>
    /// <param name="examples">Examples with at least one predicted label in total.</param>
    /// <param name="batchSize">Examples per batch; examples are grouped by length, which does not change the
    /// result.</param>
    /// <param name="step">The step to report.</param>
    /// <param name="cancellation">Gives up after the current batch.</param>
    /// <exception cref="InputException">No example predicts a label.</exception>
    public static EvaluationResult Run(
        IObjective objective, IReadOnlyList<IExample> examples, int batchSize, long step,
        CancellationToken cancellation = default) => Run(objective, examples, batchSize, step, null, cancellation);

    private static EvaluationResult Run(IObjective objective, IReadOnlyList<IExample> examples, int batchSize,
        long step, Action<int>? measured, CancellationToken cancellation)
    {
        using var noGradient = no_grad();
        double sum = 0;
        long labels = 0;
        IMetricAccumulator? board = objective.NewBoard();
        IReadOnlyList<IExample> predicting = [.. Predicting(examples)];
        if (predicting.Count == 0)
            throw new InputException(
                $"No example predicts a label. Check that completions are not empty or cut off by " +
                $"{KnownSettings.MaxLength}.");
        foreach (IReadOnlyList<IExample> rows in objective.Arranger.EvaluationBatches(predicting, batchSize))
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope(); // reading a number from another device creates a new tensor
            objective.Begin([rows]);
            using Tensor loss = objective.Sum(rows, null, board);
            sum += loss.item<float>();
            labels += rows.Sum(row => (long)row.PredictedLabels);
            measured?.Invoke(rows.Count);
        }
        // Metrics of scores that are not finite would be meaningless.
        return new EvaluationResult(step, sum / labels, labels) { Metrics = double.IsFinite(sum) && board is not null
            ? board.Metrics() : new Dictionary<string, double?>() };
    }

    /// <summary>Like <see cref="Run(IObjective, IReadOnlyList{IExample}, int, long, CancellationToken)"/>, but a loss
    /// that is not finite is an error.</summary>
    /// <exception cref="NonFiniteException">The loss is not finite; the message names the row and where it
    /// began.</exception>
    /// <exception cref="InputException">No example predicts a label.</exception>
    public static EvaluationResult RunFinite(
        IObjective objective, IReadOnlyList<IExample> examples, int batchSize, long step,
        CancellationToken cancellation = default) =>
        RunFinite(objective, examples, batchSize, step, null, cancellation);

    /// <summary>Like the other overload, with progress.</summary>
    /// <param name="objective">The task on the model.</param>
    /// <param name="examples">The examples.</param>
    /// <param name="batchSize">Examples per batch.</param>
    /// <param name="step">The step to report.</param>
    /// <param name="measured">Called after each batch with its number of examples, which add up to those of
    /// <see cref="Predicting"/>; null for nobody.</param>
    /// <param name="cancellation">Gives up after the current batch.</param>
    internal static EvaluationResult RunFinite(IObjective objective, IReadOnlyList<IExample> examples, int batchSize,
        long step, Action<int>? measured, CancellationToken cancellation = default)
    {
        EvaluationResult result = Run(objective, examples, batchSize, step, measured, cancellation);
        if (double.IsFinite(result.Loss)) return result;
        throw Broken(objective, examples, batchSize) is { } rows
            ? FiniteOutput.Failure(
                objective.Network, $"The loss is {NonFinite.Name(result.Loss)}, first of {Place(rows[0])}", () =>
                objective.Sum(rows, null))
            : new NonFiniteException($"The loss is {NonFinite.Name(result.Loss)}.");
    }

    /// <summary>The examples that an evaluation computes: those that predict a label.</summary>
    internal static IEnumerable<IExample> Predicting(IReadOnlyList<IExample> examples) =>
        examples.Where(example => example.PredictedLabels > 0);

    /// <summary>The first row whose own loss is not finite, otherwise the first batch whose loss is not; null if all
    /// are finite.</summary>
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
            [.. Predicting(examples)], batchSize).FirstOrDefault(Fails);
        return batch?.Select(row => (IReadOnlyList<IExample>)[row]).FirstOrDefault(Fails) ?? batch;
    }

    /// <summary>The place of a row, for messages.</summary>
    internal static string Place(IExample row) => row.Place?.ToString() ?? $"a row of {row.Tokens} tokens";
}

/// <summary>The result of an evaluation on held-out examples.</summary>
/// <param name="Step">Optimizer steps taken before the evaluation; 0 before training.</param>
/// <param name="Loss">Mean loss per predicted label (a token, or a text for tasks that label texts), in nats; a squared
/// error for regression.</param>
/// <param name="Tokens">Number of predicted labels.</param>
public sealed record EvaluationResult(long Step, double Loss, long Tokens)
{
    /// <summary>The task's metrics by name; empty if there is only the loss.</summary>
    public IReadOnlyDictionary<string, double?> Metrics { get; init; } = new Dictionary<string, double?>();

    /// <summary>The texts that the model generated then; empty if the run does not request any.</summary>
    public IReadOnlyList<GeneratedText> Generations { get; init; } = [];
}
