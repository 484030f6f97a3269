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
    public static EvaluationResult Run(Decoder model, IReadOnlyList<TokenizedExample> examples, int batchSize, long step) =>
        Run(new CausalObjective(model), examples, batchSize, step);

    /// <summary>Evaluates without gradients and dropout.</summary>
    /// <param name="objective">The task, on the model with its adapter attached if there is one.</param>
    /// <param name="examples">At least one predicted label in all.</param>
    /// <param name="batchSize">Examples of a batch; longer examples go with longer ones, which does not change the result.</param>
    /// <param name="step">The step to report.</param>
    /// <exception cref="InputException">No example predicts a label.</exception>
    public static EvaluationResult Run(IObjective objective, IReadOnlyList<IExample> examples, int batchSize, long step)
    {
        using var noGradient = no_grad();
        double sum = 0;
        long labels = 0;
        IScoreBoard? board = objective.NewBoard();
        IReadOnlyList<IExample> predicting = [.. examples.Where(example => example.PredictedLabels > 0)];
        if (predicting.Count == 0) throw new InputException("No example predicts a label. Check that completions are not empty or cut off by max_length.");
        foreach (IReadOnlyList<IExample> rows in objective.Arranger.EvaluationBatches(predicting, batchSize))
        {
            using var scope = NewDisposeScope(); // reading a number from another device makes a tensor of its own
            using Tensor loss = objective.Sum(rows, null, board);
            sum += loss.item<float>();
            labels += rows.Sum(row => (long)row.PredictedLabels);
        }
        return new EvaluationResult(step, sum / labels, labels) { Metrics = board?.Metrics() ?? new Dictionary<string, double?>() };
    }
}
