using LowRank.Adapters;
using LowRank.Data;
using static TorchSharp.torch;

namespace LowRank.Training.Preferences;

/// <summary>The model that preferences are measured against: the base without the adapter in training, or with a frozen
/// copy of the adapter that training started from. There is one base in memory, whose adapters change
/// places.</summary>
/// <remarks>A row's reference never changes, so it is computed once and kept. Rows are computed in groups that depend on
/// the data alone, so that a resumed run computes the same to the last bit.</remarks>
internal sealed class ReferenceModel : IDisposable
{
    /// <summary>The base without the adapter.</summary>
    public const string Base = "base";

    /// <summary>The base with the adapter that training started from.</summary>
    public const string Start = "adapter";

    private readonly Dictionary<TokenizedExample, double> known = new(ReferenceEqualityComparer.Instance);
    private readonly Adapter trained;
    private readonly Adapter? start;

    /// <param name="trained">The adapter in training, attached.</param>
    /// <param name="start">A copy of the adapter that it started from, for <see cref="Start"/>; takes ownership. Null
    /// for <see cref="Base"/>.</param>
    public ReferenceModel(Adapter trained, Adapter? start) => (this.trained, this.start) = (trained, start);

    /// <summary>The values of <c>objective.reference</c>.</summary>
    public static IReadOnlyList<string> Names { get; } = [Base, Start];

    /// <summary>The reference's log π of rows, [rows].</summary>
    /// <param name="groups">The rows, in the groups in which they are computed.</param>
    /// <param name="compute">Computes log π of a group with the model as it is.</param>
    public double[] Scores(
        IReadOnlyList<IReadOnlyList<TokenizedExample>> groups,
        Func<IReadOnlyList<TokenizedExample>, IReadOnlyList<float>> compute)
    {
        IReadOnlyList<TokenizedExample>[] missing =
            [.. groups.Where(group => group.Any(row => !known.ContainsKey(row)))];
        if (missing.Length > 0)
        {
            using var noGradient = no_grad();
            bool wasAttached = trained.IsAttached;
            trained.Detach();
            start?.Attach();
            try
            {
                foreach (IReadOnlyList<TokenizedExample> group in missing)
                    foreach ((TokenizedExample row, float score) in group.Zip(compute(group))) known[row] = score;
            }
            finally
            {
                start?.Detach();
                if (wasAttached) trained.Attach();
            }
        }
        return [.. groups.SelectMany(group => group).Select(row => known[row])];
    }

    public void Dispose() => start?.Dispose();
}
