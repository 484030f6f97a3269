using System.Text.RegularExpressions;
using LowRank.Data.Rows;

namespace LowRank.Data;

/// <summary>Counts what is wrong with the data and keeps the first ten kinds of problems to show: rows that share one
/// are shown together.</summary>
/// <param name="badRows">What becomes of wrong rows; a wrong file is an error in any case.</param>
internal sealed class DataProblems(BadRows badRows = BadRows.Error)
{
    private readonly ProblemList wrong = new(), skipped = new();
    private readonly List<string> remarks = [];
    private DataPlace lastSkipped;

    /// <summary>Problems that end the run.</summary>
    public long Count => wrong.Count;

    /// <summary>Rows that are left out.</summary>
    public long Skipped => skipped.Count;

    /// <summary>The first of the problems, each with its place; equal ones are one, with how many rows have
    /// it.</summary>
    public IReadOnlyList<string> Shown => wrong.Shown;

    /// <summary>The first of what is wrong with them.</summary>
    public IReadOnlyList<string> ShownSkipped => skipped.Shown;

    /// <summary>What the user has to know: how files are read that do not tell, and rows that were left out.</summary>
    public IReadOnlyList<string> Notes => Skipped == 0 ? remarks : [.. remarks,
        $"{(Skipped == 1 ? "1 row was" : $"{Skipped} rows were")} left out for what is wrong with " +
            $"{(Skipped == 1 ? "it" : "them")} (data.on_bad_row: skip):"
            + string.Concat(skipped.Lines.Select(problem => $"\n  - {problem}"))];

    public void Add(DataPlace place, string problem)
    {
        if (badRows == BadRows.Error || place.Line == 0) wrong.Add(place, problem);
        else if (place != lastSkipped) // counted by rows
        {
            lastSkipped = place;
            skipped.Add(place, problem);
        }
    }

    /// <summary>Notes what is not wrong, and should be known; once.</summary>
    public void Remark(string remark)
    {
        if (!remarks.Contains(remark)) remarks.Add(remark);
    }

    public void ThrowIfAny()
    {
        if (Count > 0)
            throw new InputException(
                Count == 1 ? "The data has a problem:" : $"The data has {Count} problems:", wrong.Lines);
    }
}

/// <summary>Problems, those of equal words as one.</summary>
internal sealed partial class ProblemList
{
    private const int MostShown = 10, LongestProblem = 2000;
    private readonly OrderedDictionary<string, (DataPlace First, DataPlace Last, string Problem, long Rows)> kinds = [];
    private long others;

    /// <summary>All problems.</summary>
    public long Count { get; private set; }

    /// <summary>The first kinds.</summary>
    public IReadOnlyList<string> Shown => [.. kinds.Values.Select(kind =>
        kind.Rows == 1 ? $"{kind.First}: {kind.Problem}"
            : $"{kind.Rows} {(kind.First.Line == 0 ? "files" : "rows")}, first at {kind.First}: {kind.Problem}")];

    /// <summary>The same, and how many are not shown.</summary>
    public IReadOnlyList<string> Lines => others == 0 ? Shown : [.. Shown, $"and {others} more"];

    public void Add(DataPlace place, string problem)
    {
        Count++;
        if (problem.Length > LongestProblem)
            problem = problem[..(LongestProblem / 2)] + " … " + problem[^(LongestProblem / 2)..];
        string kind = Numbers().Replace(problem, "#"); // a position or a count makes no problem another one
        if (kinds.TryGetValue(kind, out var known))
            kinds[kind] = known with { Last = place, Rows = known.Rows + (known.Last == place ? 0 : 1) };
        else if (kinds.Count < MostShown) kinds.Add(kind, (place, place, problem, 1));
        else others++;
    }

    // Nor does what else a row has, or lacks.
    [GeneratedRegex("[0-9]+|columns found: [^.]*")]
    private static partial Regex Numbers();
}

/// <summary>Where a row of data stands.</summary>
/// <param name="File">The file as it was named.</param>
/// <param name="Line">Its line, or its row, counted from 1; 0 for the file as a whole.</param>
public readonly record struct DataPlace(string File, long Line)
{
    /// <summary>Whether <see cref="Line"/> counts rows: the file has no lines, as Parquet.</summary>
    public bool IsRow { get; init; }

    /// <summary><c>file:line</c>, <c>file, row 3</c>, or the file alone.</summary>
    public override string ToString() => Line == 0 ? File : IsRow ? $"{File}, row {Line}" : $"{File}:{Line}";
}
