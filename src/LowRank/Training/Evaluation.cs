using LowRank.Data;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>The mean next-token loss on held-out examples.</summary>
public static class Evaluation
{
    /// <summary>Evaluates without gradients and dropout.</summary>
    /// <param name="model">The model, with its adapter attached if there is one.</param>
    /// <param name="examples">At least one predicted label in all.</param>
    /// <param name="batchSize">Examples of a batch; longer examples go with longer ones, which does not change the result.</param>
    /// <param name="step">The step to report.</param>
    /// <exception cref="InputException">No example predicts a label.</exception>
    public static EvaluationResult Run(Decoder model, IReadOnlyList<TokenizedExample> examples, int batchSize, long step)
    {
        using var noGradient = no_grad();
        double sum = 0;
        long labels = 0;
        IReadOnlyList<TokenizedExample> byLength = [.. examples.OrderBy(example => example.InputIds.Length)];
        var plan = new BatchPlan(byLength, batchSize, accumulation: 1, shuffle: false, seed: 0);
        for (long i = 0; i < plan.StepsPerEpoch; i++)
            foreach (Batch batch in plan.Step(i).MicroBatches)
            {
                using var scope = NewDisposeScope();
                TensorBatch onDevice = TensorBatch.Create(batch.InputIds, batch.Labels, batch.AttentionMask, batch.Length, model.Device);
                sum += CausalLoss.Sum(model, onDevice, null).item<float>();
                labels += onDevice.PredictedLabels;
            }
        if (labels == 0) throw new InputException("No example predicts a label. Check that completions are not empty or cut off by max_length.");
        return new EvaluationResult(step, sum / labels, labels);
    }
}
