namespace LowRank;

/// <summary>Invalid input: a recipe, a checkpoint, an adapter, data. Contains all problems, not only the first; each
/// says what was found, what was expected, where, and what to do.</summary>
public sealed class InputException : Exception, IWorded
{
    private readonly Words? heading;
    private Wording? wording;

    /// <summary>Reports one problem.</summary>
    public InputException(string problem, Exception? inner = null) : this(new Problem(problem), inner) { }

    /// <inheritdoc cref="InputException(string, Exception?)"/>
    public InputException(Words problem, Exception? inner = null) : this(new Problem(problem), inner) { }

    /// <inheritdoc cref="InputException(string, Exception?)"/>
    public InputException(Problem problem, Exception? inner = null) : base(null, inner) => Details = [problem];

    /// <summary>Reports several problems at once, under a heading that says what they have in common.</summary>
    public InputException(string heading, IReadOnlyList<string> problems) : this(Words.Plain(heading), problems) { }

    /// <inheritdoc cref="InputException(string, IReadOnlyList{string})"/>
    public InputException(Words heading, IReadOnlyList<string> problems)
        : this(heading, [.. problems.Select(problem => new Problem(problem))]) { }

    /// <inheritdoc cref="InputException(string, IReadOnlyList{string})"/>
    public InputException(string heading, IReadOnlyList<Problem> problems) : this(Words.Plain(heading), problems) { }

    /// <inheritdoc cref="InputException(string, IReadOnlyList{string})"/>
    public InputException(Words heading, IReadOnlyList<Problem> problems)
    {
        this.heading = heading;
        Details = problems;
    }

    /// <summary>The problems as values, in the order in which they were found.</summary>
    public IReadOnlyList<Problem> Details { get; }

    /// <summary>The problems in words, in the order in which they were found.</summary>
    public IReadOnlyList<string> Problems => [.. Details.Select(problem => problem.In(wording))];

    /// <summary>All problems as one, for an error that lists those of several parts.</summary>
    public Problem Whole => heading is null ? Details[0]
        : new Problem(Words.Lines(heading, Details.Select(problem => problem.Statement)));

    /// <inheritdoc/>
    public override string Message => Whole.In(wording);

    /// <inheritdoc/>
    public void Word(Wording wording) => this.wording = wording;
}
