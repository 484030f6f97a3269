namespace LowRank;

/// <summary>Invalid input: a recipe, a checkpoint, an adapter, data. Contains all problems, not only the first; each
/// says what was found, what was expected, where, and what to do.</summary>
public sealed class InputException : Exception
{
    /// <summary>Reports one problem.</summary>
    public InputException(string problem) : this([problem]) { }

    /// <summary>Reports one problem with the exception that revealed it.</summary>
    public InputException(string problem, Exception inner) : base(problem, inner) => Problems = [problem];

    /// <summary>Reports several problems at once, under a heading that says what they have in common.</summary>
    public InputException(string heading, IReadOnlyList<string> problems)
        : base($"{heading}\n{string.Join('\n', problems.Select(p => "  - " + p))}") => Problems = problems;

    private InputException(IReadOnlyList<string> problems) : base(string.Join('\n', problems)) => Problems = problems;

    /// <summary>The problems, in the order in which they were found.</summary>
    public IReadOnlyList<string> Problems { get; }

    /// <summary>The setting that fixes the problem, if there is one; otherwise null. Messages describe the fix without
    /// a front end's name for the setting, such as a command line option; the front end adds that name based on this
    /// property.</summary>
    public InputRemedy? Remedy { get; init; }
}

/// <summary>A setting that fixes a problem.</summary>
/// <param name="Code">The setting: <see cref="Columns"/>, <see cref="BaseDtype"/> or <see cref="NewRun"/>.</param>
/// <param name="Value">The value to set, if known; otherwise null.</param>
public sealed record InputRemedy(string Code, string? Value = null)
{
    /// <summary>Which column of the data contains a field of the task; the value is the field.</summary>
    public const string Columns = "columns";

    /// <summary>The storage format of the base's weights; the value is the format.</summary>
    public const string BaseDtype = "base_dtype";

    /// <summary>Start a new run instead of resuming one.</summary>
    public const string NewRun = "new_run";
}
