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
}
