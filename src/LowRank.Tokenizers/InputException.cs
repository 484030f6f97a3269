namespace LowRank;

/// <summary>
/// Input that cannot be used: a recipe, a checkpoint, an adapter, data. Carries every problem that was found, not only
/// the first; each says what was found, what was expected, where, and what to do.
/// </summary>
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

    /// <summary>The problems, in the order they were met.</summary>
    public IReadOnlyList<string> Problems { get; }

    /// <summary>The setting that mends it, where one does; null elsewhere. The messages say what to do without the
    /// names that a front end has for it, such as options of a command line: it adds them by this.</summary>
    public InputRemedy? Remedy { get; init; }
}

/// <summary>A setting that mends a problem.</summary>
/// <param name="Code">The setting: <see cref="Columns"/>, <see cref="BaseDtype"/> or <see cref="NewRun"/>.</param>
/// <param name="Value">What it is to be, where that is known; null elsewhere.</param>
public sealed record InputRemedy(string Code, string? Value = null)
{
    /// <summary>Which column of the data has what a task reads; the value is the field.</summary>
    public const string Columns = "columns";

    /// <summary>How the base's weights are kept; the value is the format.</summary>
    public const string BaseDtype = "base_dtype";

    /// <summary>To begin a run anew, instead of resuming one.</summary>
    public const string NewRun = "new_run";
}
