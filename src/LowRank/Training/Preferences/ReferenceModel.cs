using LowRank.Adapters;
using LowRank.Data;
using static TorchSharp.torch;

namespace LowRank.Training.Preferences;

/// <summary>The model that preferences are measured against: the base without the adapter in training, or with a frozen
/// copy of the adapter that training started from. There is one base in memory, whose adapters change
/// places.</summary>
/// <remarks>A row's reference never changes, so it is computed once and kept. Rows are computed in groups that depend
/// on the data alone, so that a resumed run computes the same to the last bit.</remarks>
internal sealed class ReferenceModel : IDisposable
{
    /// <summary>The base without the adapter.</summary>
    public const string Base = "base";

    /// <summary>The base with the adapter that training started from.</summary>
    public const string Start = "adapter";

    /// <summary>Either, computed for all rows before the first step.</summary>
    public const string Precomputed = "precomputed";

    private readonly Dictionary<TokenizedExample, double> known = new(ReferenceEqualityComparer.Instance);
    private readonly Adapter? trained, start;
    private bool isComplete;

    /// <param name="trained">The adapter in training, attached; null if every weight is trained, so that all rows must
    /// be computed before the first step.</param>
    /// <param name="start">A copy of the adapter that it started from, for <see cref="Start"/>; takes ownership. Null
    /// for <see cref="Base"/>.</param>
    public ReferenceModel(Adapter? trained, Adapter? start) => (this.trained, this.start) = (trained, start);

    /// <summary>The values of <c>objective.reference</c>.</summary>
    public static IReadOnlyList<string> Names { get; } = [Base, Start, Precomputed];

    /// <summary>The reference's log π of rows, [rows].</summary>
    /// <param name="groups">The rows, in the groups in which they are computed.</param>
    /// <param name="compute">Computes log π of a group with the model as it is.</param>
    public double[] Scores(
        IReadOnlyList<IReadOnlyList<TokenizedExample>> groups,
        Func<IReadOnlyList<TokenizedExample>, IReadOnlyList<float>> compute)
    {
        IReadOnlyList<TokenizedExample>[] missing =
            [.. groups.Where(group => group.Any(row => !known.ContainsKey(row)))];
        if (missing.Length > 0) Add(missing, compute);
        return [.. groups.SelectMany(group => group).Select(row => known[row])];
    }

    /// <summary>Computes all rows, or takes them from a file of an earlier run with the same rows and
    /// reference.</summary>
    /// <param name="groups">All rows, in their groups.</param>
    /// <param name="compute">As in <see cref="Scores"/>.</param>
    /// <param name="file">The file; it is written where it is missing.</param>
    /// <param name="progress">Receives the number of groups done; null for nobody.</param>
    public void Complete(IReadOnlyList<IReadOnlyList<TokenizedExample>> groups,
        Func<IReadOnlyList<TokenizedExample>, IReadOnlyList<float>> compute, ReferenceFile file, Action<int>? progress)
    {
        TokenizedExample[] rows = [.. groups.SelectMany(group => group)];
        if (file.Read(rows.Length) is { } stored)
            foreach ((TokenizedExample row, double score) in rows.Zip(stored)) known[row] = score;
        else
        {
            foreach (IReadOnlyList<TokenizedExample> group in groups)
            {
                Scores([group], compute);
                progress?.Invoke(1);
            }
            file.Write([.. rows.Select(row => known[row])]);
        }
        isComplete = true;
    }

    public void Dispose() => start?.Dispose();

    private void Add(IReadOnlyList<IReadOnlyList<TokenizedExample>> groups,
        Func<IReadOnlyList<TokenizedExample>, IReadOnlyList<float>> compute)
    {
        if (trained is null && isComplete)
            throw new InvalidOperationException("The reference of a row is asked for after training began to change " +
                "it.");
        using var noGradient = no_grad();
        bool wasAttached = trained?.IsAttached == true;
        trained?.Detach();
        start?.Attach();
        try
        {
            foreach (IReadOnlyList<TokenizedExample> group in groups)
                foreach ((TokenizedExample row, float score) in group.Zip(compute(group))) known[row] = score;
        }
        finally
        {
            start?.Detach();
            if (wasAttached) trained!.Attach();
        }
    }
}
