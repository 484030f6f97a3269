using System.Runtime.CompilerServices;

namespace LowRank.Jinja;

/// <summary>What the parsers of statements and expressions share.</summary>
internal sealed class ParserState(TokenStream tokens, JinjaLimits limits)
{
    private readonly List<(string Problem, int Line)> _unknown = [];
    private readonly List<HashSet<string>> _readers = [];
    private int _depth;

    /// <summary>The tokens.</summary>
    public TokenStream Tokens => tokens;

    /// <summary>
    /// Whether the code may stay unused: inside an <c>if</c> the reference lets unknown filters and tests pass until
    /// they are reached.
    /// </summary>
    public bool IsSoft { get; set; }

    /// <summary>How many loops are around the current statement in the same body.</summary>
    public int Loops { get; set; }

    /// <summary>How many loops are around the current statement, those outside of its macro counted.</summary>
    public int AllLoops { get; set; }

    /// <summary>Whether a generation block was met.</summary>
    public bool HasGeneration { get; set; }

    /// <summary>How many unknown filters and tests were met; <see cref="Forget"/> takes it.</summary>
    public int UnknownCount => _unknown.Count;

    /// <summary>Notes an unknown filter or test.</summary>
    public void AddUnknown(string problem, int line)
    {
        if (!IsSoft)
        {
            _unknown.Add((problem, line));
        }
    }

    /// <summary>Forgets the unknown filters and tests since a count: they turned out to be in a conditional
    /// expression.</summary>
    public void Forget(int count) => _unknown.RemoveRange(count, _unknown.Count - count);

    /// <summary>Reports the unknown filters and tests.</summary>
    public void ThrowUnknown()
    {
        if (_unknown.Count > 0)
        {
            var others = _unknown.Skip(1).Select(unknown => $"; line {unknown.Line}: {unknown.Problem}");
            throw new TemplateException(_unknown[0].Problem + string.Concat(others), _unknown[0].Line);
        }
    }

    /// <summary>Begins to note the names that are read, for a macro.</summary>
    /// <param name="names">Goes on with these names; none if null.</param>
    public HashSet<string> BeginReader(HashSet<string>? names = null)
    {
        names ??= new HashSet<string>(StringComparer.Ordinal);
        _readers.Add(names);
        return names;
    }

    /// <summary>Ends what <see cref="BeginReader"/> began.</summary>
    public void EndReader() => _readers.RemoveAt(_readers.Count - 1);

    /// <summary>Notes that a name is read.</summary>
    public void NoteRead(string name)
    {
        foreach (var reader in _readers)
        {
            reader.Add(name);
        }
    }

    /// <summary>Goes one level deeper; <see cref="Leave"/> comes back.</summary>
    public void Enter()
    {
        if (++_depth > limits.MaximumDepth || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw Budget.TooDeep(limits, tokens.Current.Line);
        }
    }

    /// <summary>Comes back from <see cref="Enter"/>.</summary>
    public void Leave() => _depth--;
}

/// <summary>Goes over the tokens of a template.</summary>
internal sealed class TokenStream(IReadOnlyList<Token> tokens)
{
    private int _index;

    /// <summary>The token that comes next.</summary>
    public Token Current => tokens[_index];

    /// <summary>The token after the one that comes next.</summary>
    public Token Following => tokens[Math.Min(_index + 1, tokens.Count - 1)];

    /// <summary>Takes a token.</summary>
    public Token Take()
    {
        var token = Current;
        _index = Math.Min(_index + 1, tokens.Count - 1);
        return token;
    }

    /// <summary>Whether the next token is of a kind.</summary>
    public bool Is(TokenKind kind) => Current.Kind == kind;

    /// <summary>Whether the next token is a keyword.</summary>
    public bool Is(string keyword) => Current.Kind == TokenKind.Name && Current.Text == keyword;

    /// <summary>Takes a token if it is of a kind.</summary>
    public bool Skip(TokenKind kind)
    {
        var found = Is(kind);
        if (found)
        {
            Take();
        }

        return found;
    }

    /// <summary>Takes a keyword if it comes next.</summary>
    public bool Skip(string keyword)
    {
        var found = Is(keyword);
        if (found)
        {
            Take();
        }

        return found;
    }

    /// <summary>Takes a token that has to be of a kind.</summary>
    public Token Expect(TokenKind kind, string description) => Is(kind)
        ? Take()
        : throw new TemplateException($"expected {description}, found {Current.Description}", Current.Line);

    /// <summary>Takes a keyword that has to come next.</summary>
    public void Expect(string keyword)
    {
        if (!Skip(keyword))
        {
            throw new TemplateException($"expected '{keyword}', found {Current.Description}", Current.Line);
        }
    }
}

/// <summary>Parses the body of a statement up to one of its tags, which is taken and returned.</summary>
/// <param name="soft">Whether the body may stay unused, see <see cref="ParserState.IsSoft"/>.</param>
/// <param name="ends">The tags.</param>
internal delegate (List<Statement> Body, string End) BodyParser(bool soft, params string[] ends);
