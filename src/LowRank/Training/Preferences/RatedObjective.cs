using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Data.Preferences;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.Training.Preferences;

/// <summary>KTO (arXiv 2402.01306): learning from completions that are wanted or not.</summary>
/// <param name="model">The model, with the adapter attached.</param>
/// <param name="settings">β and the weights of both kinds.</param>
/// <param name="batching">How rows become batches.</param>
internal sealed class RatedObjective(Decoder model, PreferenceSettings settings, RowBatching batching)
    : IReferencedObjective
{
    private double divergence; // the mean of log π/π_ref over mismatched completions of the whole step, at least 0

    /// <inheritdoc/>
    public INetwork Network => model;

    /// <summary>The model to compare with; null for the model itself.</summary>
    public ReferenceModel? Reference { get; set; }

    /// <inheritdoc/>
    public void Begin(IReadOnlyList<IReadOnlyList<IExample>> microBatches)
    {
        using var noGradient = no_grad();
        double sum = 0;
        long count = 0;
        foreach (IReadOnlyList<IExample> rows in microBatches)
        {
            using var scope = NewDisposeScope();
            TokenizedExample[] mismatched = [.. rows.Cast<RatedCompletion>().Select(row => row.Mismatched)];
            Tensor ratios = Ratios(mismatched, LabelScores.Of(model, mismatched, batching).Sums());
            sum += ratios.sum().item<float>();
            count += mismatched.Length;
        }
        divergence = Math.Max(0, sum / Math.Max(1, count));
    }

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null)
    {
        using var scope = NewDisposeScope();
        RatedCompletion[] rated = [.. rows.Cast<RatedCompletion>()];
        TokenizedExample[] completions = [.. rated.Select(row => row.Completion)];
        Tensor scores = LabelScores.Of(model, completions, batching).Sums(), ratios = Ratios(completions, scores);
        float[] signs = [.. rated.Select(row => row.IsDesirable ? 1f : -1f)];
        Tensor sides = tensor(signs, device: model.Device);
        if (board is PreferenceMetrics metrics) Report(scores, ratios, sides.gt(Number(0)), metrics);
        return Losses(settings, ratios, sides, divergence).sum().MoveToOuterDisposeScope();
    }

    /// <summary>1 − σ(β(r − z)) for what is wanted, 1 − σ(β(z − r)) for what is not, each with its weight
    /// (section 4.1).</summary>
    /// <param name="settings">β and the weights.</param>
    /// <param name="ratios">r = log π/π_ref, [completions].</param>
    /// <param name="sides">1 for what is wanted, −1 for what is not, [completions].</param>
    /// <param name="divergence">z.</param>
    public static Tensor Losses(PreferenceSettings settings, Tensor ratios, Tensor sides, double divergence)
    {
        Tensor weights = where(sides.gt(Number(0)), full_like(ratios, Number(settings.DesirableWeight)),
            full_like(ratios, Number(settings.UndesirableWeight)));
        return sigmoid(ratios.Plus(-divergence) * sides * Number(-settings.Beta)) * weights;
    }

    /// <inheritdoc/>
    public IMetricAccumulator NewBoard() => new PreferenceMetrics();

    /// <inheritdoc/>
    public IMetricAccumulator NewStepBoard() => NewBoard();

    private void Report(Tensor scores, Tensor ratios, Tensor wanted, PreferenceMetrics metrics)
    {
        using var scope = NewDisposeScope();
        Tensor rewards = ratios.detach() * Number(settings.Beta);
        foreach ((string name, Tensor these) in new[] { ("chosen", wanted), ("rejected", wanted.logical_not()) })
        {
            metrics.Add($"rewards/{name}", rewards.masked_select(these));
            metrics.Add($"logps/{name}", scores.detach().masked_select(these));
        }
        metrics.Add("kl", divergence * rewards.numel(), rewards.numel());
    }

    /// <inheritdoc/>
    public IEnumerable<IReadOnlyList<TokenizedExample>> Compared(IEnumerable<IExample> examples) =>
        examples.Cast<RatedCompletion>().SelectMany(
            rated => new[] { new[] { rated.Completion }, new[] { rated.Mismatched } });

    /// <inheritdoc/>
    public IReadOnlyList<float> Scores(IReadOnlyList<TokenizedExample> group) =>
        LabelScores.Numbers(model, group, batching);

    // Before an adapter is attached, the model is its own reference.
    private Tensor Ratios(TokenizedExample[] rows, Tensor scores) => scores - (Reference is null ? scores.detach()
        : tensor(
            Reference.Scores([.. rows.Select(row => new[] { row })], Scores).Select(score => (float)score).ToArray(),
            device: model.Device));
}
