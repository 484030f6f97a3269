using LowRank.Training;

namespace LowRank.Tasks.MaskedLanguageModel;

/// <summary>Counts masked tokens that were predicted right.</summary>
internal sealed class MaskedBoard : IScoreBoard
{
    private long right;
    private long all;

    public void Add(long correct, long predicted) => (right, all) = (right + correct, all + predicted);

    public IReadOnlyDictionary<string, double?> Metrics() => new Dictionary<string, double?> { ["accuracy"] = all == 0 ? null : (double)right / all };
}
