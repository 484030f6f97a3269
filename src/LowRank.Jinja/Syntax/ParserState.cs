using System.Runtime.CompilerServices;

namespace LowRank.Jinja;

/// <summary>The state shared by the parsers of statements and expressions.</summary>
internal sealed class ParserState(TokenStream tokens, JinjaLimits limits)
{
    private readonly List<(string Problem, int Line)> _unknown = [];
    private readonly List<HashSet<string>> _readers = [];
    private int _depth;

    /// <summary>The tokens.</summary>
    public TokenStream Tokens => tokens;

    /// <summary>
    /// Whether the code may never run: inside an <c>if</c> the reference accepts unknown filters and tests until they
    /// are reached. </summary>
    public bool IsSoft { get; set; }

    /// <summary>The number of loops around the current statement in the same body.</summary>
    public int Loops { get; set; }

    /// <summary>The number of loops around the current statement, including those outside its macro.</summary>
    public int AllLoops { get; set; }

    /// <summary>Whether a generation block was found.</summary>
    public bool HasGeneration { get; set; }

    /// <summary>The number of unknown filters and tests found; an argument for <see cref="Forget"/>.</summary>
    public int UnknownCount => _unknown.Count;

    /// <summary>Records an unknown filter or test.</summary>
    public void AddUnknown(string problem, int line)
    {
        if (!IsSoft)
        {
            _unknown.Add((problem, line));
        }
    }

    /// <summary>Forgets the unknown filters and tests found since a count, because they turned out to be in a
    /// conditional expression.</summary>
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

    /// <summary>Starts recording the names that are read, for a macro.</summary>
    /// <param name="names">Continues with these names; starts empty if null.</param>
    public HashSet<string> BeginReader(HashSet<string>? names = null)
    {
        names ??= new HashSet<string>(StringComparer.Ordinal);
        _readers.Add(names);
        return names;
    }

    /// <summary>Ends the recording started by <see cref="BeginReader"/>.</summary>
    public void EndReader() => _readers.RemoveAt(_readers.Count - 1);

    /// <summary>Records that a name is read.</summary>
    public void NoteRead(string name)
    {
        foreach (var reader in _readers)
        {
            reader.Add(name);
        }
    }

    /// <summary>Goes one level deeper; <see cref="Leave"/> goes back.</summary>
    public void Enter()
    {
        if (++_depth > limits.MaximumDepth || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw Budget.TooDeep(limits, tokens.Current.Line);
        }
    }

    /// <summary>Goes back from <see cref="Enter"/>.</summary>
    public void Leave() => _depth--;
}

/// <summary>Iterates over the tokens of a template.</summary>
internal sealed class TokenStream(IReadOnlyList<Token> tokens)
{
    private int _index;

    /// <summary>The next token.</summary>
    public Token Current => tokens[_index];

    /// <summary>The token after the next one.</summary>
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

    /// <summary>Takes a keyword if it is next.</summary>
    public bool Skip(string keyword)
    {
        var found = Is(keyword);
        if (found)
        {
            Take();
        }

        return found;
    }

    /// <summary>Takes a token that must be of a kind.</summary>
    public Token Expect(TokenKind kind, string description) => Is(kind)
        ? Take()
        : throw new TemplateException($"expected {description}, found {Current.Description}", Current.Line);

    /// <summary>Takes a keyword that must be next.</summary>
    public void Expect(string keyword)
    {
        if (!Skip(keyword))
        {
            throw new TemplateException($"expected '{keyword}', found {Current.Description}", Current.Line);
        }
    }
}

/// <summary>Parses the body of a statement up to one of its end tags; takes and returns the tag.</summary>
/// <param name="soft">Whether the body may never run; see <see cref="ParserState.IsSoft"/>.</param>
/// <param name="ends">The tags.</param>
internal delegate (List<Statement> Body, string End) BodyParser(bool soft, params string[] ends);
