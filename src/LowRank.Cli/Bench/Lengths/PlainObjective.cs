using LowRank.Data;
using LowRank.Models;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Lengths;

/// <summary>Next-token prediction as a plain loop does it: each batch padded to its longest row, logits of every position.</summary>
internal sealed class PlainObjective(Decoder model) : IObjective
{
    /// <inheritdoc/>
    public INetwork Network => model;

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IScoreBoard? board = null)
    {
        using var scope = NewDisposeScope();
        Batch batch = Batch.Pad([.. rows.Cast<TokenizedExample>()]);
        Tensor Rows(long[] values) => tensor(values, dtype: ScalarType.Int64, device: model.Device).view(rows.Count, batch.Length);
        Tensor hidden = model.Hidden(Rows(batch.InputIds), batch.AttentionMask is { } mask ? Rows(mask) : null, null, dropout);
        Tensor logits = model.Logits(hidden, dropout).view(-1, model.VocabularySize);
        // Labels move instead of logits, which would be copied.
        Tensor labels = nn.functional.pad(Rows(batch.Labels).narrow(1, 1, batch.Length - 1), [0, 1], value: TokenizedExample.Ignored);
        return nn.functional.cross_entropy(logits, labels.reshape(-1), ignore_index: TokenizedExample.Ignored, reduction: nn.Reduction.Sum).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IScoreBoard? NewBoard() => null;
}
