using System.Text.RegularExpressions;

namespace LowRank.Data;

/// <summary>Counts problems in the data and keeps the first ten kinds of problems to show, grouping rows with the same
/// problem.</summary>
/// <param name="badRows">What to do with bad rows; a bad file is always an error.</param>
internal sealed class DataProblems(BadRows badRows = BadRows.Error)
{
    private readonly ProblemList wrong = new(), skipped = new();
    private readonly List<string> remarks = [];
    private DataPlace lastSkipped;

    /// <summary>Problems that end the run.</summary>
    public long Count => wrong.Count;

    /// <summary>Number of skipped rows.</summary>
    public long Skipped => skipped.Count;

    /// <summary>The first problems, each with its place; equal problems are combined with their number of
    /// rows.</summary>
    public IReadOnlyList<Problem> Shown => wrong.Shown;

    /// <summary>The first problems of the skipped rows.</summary>
    public IReadOnlyList<Problem> ShownSkipped => skipped.Shown;

    /// <summary>Notes for the user: how ambiguous files were read, and which rows were skipped.</summary>
    public IReadOnlyList<Words> Notes => [.. remarks.Select(Words.Plain), .. Skipped == 0 ? [] : new[]
    {
        Words.Lines(
            Words.Of(
                $"{(Skipped == 1 ? "1 row was" : $"{Skipped} rows were")} skipped because " +
                $"{(Skipped == 1 ? "it cannot" : "they cannot")} be used{KnownSettings.OnBadRow.To("skip").Aside}:"),
            skipped.Lines.Select(problem => problem.Statement)),
    }];

    public void Add(DataPlace place, string problem) => Add(place, new Problem(problem));

    public void Add(DataPlace place, Problem problem)
    {
        if (badRows == BadRows.Error || place.Line == 0) wrong.Add(place, problem);
        else if (place != lastSkipped) // counted by rows
        {
            lastSkipped = place;
            skipped.Add(place, problem);
        }
    }

    /// <summary>Adds all problems of a row.</summary>
    public void Add(DataPlace place, InputException failure)
    {
        foreach (Problem problem in failure.Details) Add(place, problem);
    }

    /// <summary>Adds a note about something that is not an error; each note once.</summary>
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

/// <summary>A list of problems in which equal messages are combined.</summary>
internal sealed partial class ProblemList
{
    private const int MostShown = 10, LongestProblem = 2000;
    private readonly OrderedDictionary<string, (DataPlace First, DataPlace Last, Problem Problem, long Rows)> kinds =
        [];
    private long others;

    /// <summary>All problems.</summary>
    public long Count { get; private set; }

    /// <summary>The first kinds of problems.</summary>
    public IReadOnlyList<Problem> Shown => [.. kinds.Values.Select(kind => kind.Problem with
    {
        Place = kind.Rows == 1 ? Words.Of($"{kind.First}")
            : Words.Of($"{kind.Rows} {(kind.First.Line == 0 ? "files" : "rows")}, first at {kind.First}"),
    })];

    /// <summary>The same, with the number of kinds that are not shown.</summary>
    public IReadOnlyList<Problem> Lines => others == 0 ? Shown : [.. Shown, new Problem($"and {others} more")];

    public void Add(DataPlace place, Problem problem)
    {
        Count++;
        string text = problem.Text.ToString();
        if (text.Length > LongestProblem)
        {
            text = text[..(LongestProblem / 2)] + " … " + text[^(LongestProblem / 2)..];
            problem = problem with { Text = Words.Plain(text) };
        }
        string kind = Numbers().Replace(text, "#"); // ignores positions and counts
        if (kinds.TryGetValue(kind, out var known))
            kinds[kind] = known with { Last = place, Rows = known.Rows + (known.Last == place ? 0 : 1) };
        else if (kinds.Count < MostShown) kinds.Add(kind, (place, place, problem, 1));
        else others++;
    }

    // The same for the other columns of a row.
    [GeneratedRegex("[0-9]+|columns found: [^.]*")]
    private static partial Regex Numbers();
}

/// <summary>The place of a row of data.</summary>
/// <param name="File">The file, as named by the user.</param>
/// <param name="Line">The line or row, counted from 1; 0 for the file as a whole.</param>
public readonly record struct DataPlace(string File, long Line)
{
    /// <summary>Whether <see cref="Line"/> counts rows, because the file has no lines (Parquet).</summary>
    public bool IsRow { get; init; }

    /// <summary><c>file:line</c>, <c>file, row 3</c>, or the file alone.</summary>
    public override string ToString() => Line == 0 ? File : IsRow ? $"{File}, row {Line}" : $"{File}:{Line}";
}

/// <summary>What to do with rows that cannot be used.</summary>
public enum BadRows
{
    /// <summary>End the run; all bad rows are counted, and the first ten shown.</summary>
    Error,

    /// <summary>Skip them; they are counted, and the first ten shown.</summary>
    Skip,
}
