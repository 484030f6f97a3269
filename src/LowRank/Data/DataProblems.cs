using LowRank.Data.Rows;

namespace LowRank.Data;

/// <summary>Counts what is wrong with the data and keeps the first ten to show.</summary>
/// <param name="badRows">What becomes of wrong rows; a wrong file is an error in any case.</param>
internal sealed class DataProblems(BadRows badRows = BadRows.Error)
{
    private const int MostShown = 10;
    private readonly List<string> shown = [], skipped = [];
    private DataPlace lastSkipped;

    /// <summary>Problems that end the run.</summary>
    public long Count { get; private set; }

    /// <summary>Rows that are left out.</summary>
    public long Skipped { get; private set; }

    /// <summary>The first of the problems, each with its place.</summary>
    public IReadOnlyList<string> Shown => shown;

    /// <summary>The first of what is wrong with them.</summary>
    public IReadOnlyList<string> ShownSkipped => skipped;

    /// <summary>What the user has to know of rows that were left out; none when there are none.</summary>
    public IReadOnlyList<string> Notes => Skipped == 0 ? []
        : [$"{(Skipped == 1 ? "1 row was" : $"{Skipped} rows were")} left out for what is wrong with {(Skipped == 1 ? "it" : "them")} (data.on_bad_row: skip):" +
            string.Concat(skipped.Select(problem => $"\n  - {problem}")) + (Skipped > skipped.Count ? $"\n  - and {Skipped - skipped.Count} more" : "")];

    public void Add(DataPlace place, string problem)
    {
        string text = $"{place}: {problem}";
        if (badRows == BadRows.Skip && place.Line > 0)
        {
            if (place == lastSkipped) return; // counted by rows
            (lastSkipped, Skipped) = (place, Skipped + 1);
            if (skipped.Count < MostShown) skipped.Add(text);
            return;
        }
        Count++;
        if (shown.Count < MostShown) shown.Add(text);
    }

    public void ThrowIfAny()
    {
        if (Count == 0) return;
        string heading = Count == 1 ? "The data has a problem:" : $"The data has {Count} problems:";
        throw new InputException(heading, Count > MostShown ? [.. shown, $"and {Count - MostShown} more"] : shown);
    }
}
