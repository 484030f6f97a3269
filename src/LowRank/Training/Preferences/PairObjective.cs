using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Data.Preferences;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.Training.Preferences;

/// <summary>Learning from pairs: dpo, orpo, cpo and simpo.</summary>
/// <param name="model">The model, with the adapter attached.</param>
/// <param name="settings">The loss.</param>
/// <param name="batching">How rows become batches: the prompt of a pair is computed once where beginnings are
/// shared.</param>
internal sealed class PairObjective(Decoder model, PreferenceSettings settings, RowBatching batching)
    : IReferencedObjective
{
    private double tokensPerPair = 1; // of chosen completions (orpo: with their prompts), over the whole step

    /// <inheritdoc/>
    public INetwork Network => model;

    /// <summary>The model to compare with; null for the model itself, and for objectives without one.</summary>
    public ReferenceModel? Reference { get; set; }

    private bool LearnsPrompts => settings.Type == "orpo";

    /// <inheritdoc/>
    public void Begin(IReadOnlyList<IReadOnlyList<IExample>> microBatches)
    {
        PreferencePair[] pairs = [.. microBatches.SelectMany(rows => rows).Cast<PreferencePair>()];
        tokensPerPair =
            Math.Max(1, pairs.Sum(pair => (double)Likely(pair).PredictedLabels)) / Math.Max(1, pairs.Length);
    }

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null)
    {
        using var scope = NewDisposeScope();
        PreferencePair[] pairs = [.. rows.Cast<PreferencePair>()];
        int count = pairs.Length;
        TokenizedExample[] completions = [.. pairs.Select(pair => pair.Chosen), .. pairs.Select(pair => pair.Rejected)];
        // Where prompts are learned, the chosen texts are in the batch once more, with all their tokens as labels.
        LabelScores scores = LabelScores.Of(
            model, LearnsPrompts ? [.. completions, .. pairs.Select(Likely)] : completions, batching);
        Tensor sums = scores.Sums(), lengths = Floats(completions.Select(row => (double)row.PredictedLabels));
        Tensor chosen = sums.narrow(0, 0, count), rejected = sums.narrow(0, count, count);
        Tensor likelihood = LearnsPrompts ? sums.narrow(0, 2 * count, count) : chosen;
        // The mean over the tokens of the whole step, as its part of these pairs.
        Tensor nll = likelihood / Number(-tokensPerPair);
        var pair = new PairScores(chosen, rejected, lengths.narrow(0, 0, count), lengths.narrow(0, count, count));
        if (settings.NeedsReference) pair = WithReference(pair, pairs);
        return PairLoss.Of(settings, pair, nll, board as PreferenceMetrics).sum().MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IMetricAccumulator NewBoard() => new PreferenceMetrics();

    /// <inheritdoc/>
    public IMetricAccumulator NewStepBoard() => NewBoard();

    private PairScores WithReference(PairScores scores, PreferencePair[] pairs)
    {
        // Before an adapter is attached, the model is its own reference.
        if (Reference is null)
            return scores with
            {
                ReferenceChosen = scores.Chosen.detach(), ReferenceRejected = scores.Rejected.detach(),
            };
        double[] known = Reference.Scores([.. Compared(pairs)], Scores);
        return scores with
        {
            ReferenceChosen = Floats(known.Where((_, i) => i % 2 == 0)),
            ReferenceRejected = Floats(known.Where((_, i) => i % 2 == 1)),
        };
    }

    /// <inheritdoc/>
    public IEnumerable<IReadOnlyList<TokenizedExample>> Compared(IEnumerable<IExample> examples) =>
        examples.Cast<PreferencePair>().Select(pair => new[] { pair.Chosen, pair.Rejected });

    /// <inheritdoc/>
    public IReadOnlyList<float> Scores(IReadOnlyList<TokenizedExample> group) =>
        LabelScores.Numbers(model, group, batching);

    private TokenizedExample Likely(PreferencePair pair) =>
        LearnsPrompts ? pair.Chosen with { Labels = pair.Chosen.InputIds } : pair.Chosen;

    private Tensor Floats(IEnumerable<double> values) =>
        tensor(values.Select(value => (float)value).ToArray(), device: model.Device);
}
