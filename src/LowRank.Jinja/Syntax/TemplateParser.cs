namespace LowRank.Jinja;

/// <summary>Parses statements.</summary>
internal sealed class TemplateParser
{
    private readonly ParserState _state;
    private readonly TokenStream _tokens;
    private readonly ExpressionParser _expressions;
    private readonly Dictionary<string, Func<int, Statement>> _statements;

    private TemplateParser(ParserState state)
    {
        _state = state;
        _tokens = state.Tokens;
        _expressions = new ExpressionParser(state);
        var macros = new MacroParser(state, _expressions, Body);
        _statements = new Dictionary<string, Func<int, Statement>>(StringComparer.Ordinal)
        {
            ["if"] = If,
            ["for"] = For,
            ["set"] = Set,
            ["with"] = With,
            ["block"] = Block,
            ["filter"] = Filter,
            ["print"] = Print,
            ["autoescape"] = AutoEscape,
            ["macro"] = macros.Macro,
            ["call"] = macros.CallBlock,
            ["generation"] = macros.Generation,
            ["break"] = line => LoopControl(line, Flow.Break),
            ["continue"] = line => LoopControl(line, Flow.Continue),
        };
    }

    /// <summary>Parses a template.</summary>
    /// <exception cref="TemplateException">The template is not valid.</exception>
    public static TemplateBody Parse(string source, JinjaLimits limits)
    {
        var state = new ParserState(new TokenStream(Lexer.Read(source)), limits);
        var names = state.BeginReader();
        var statements = new TemplateParser(state).Statements([]);
        state.ThrowUnknown();
        names.ExceptWith(GlobalFunctions.Names);
        return new TemplateBody(statements, state.HasGeneration, names);
    }

    // Parses statements up to one of the tags, whose name is then the next token.
    private List<Statement> Statements(string[] ends)
    {
        _state.Enter();
        var statements = new List<Statement>();
        var line = _tokens.Current.Line;
        while (!_tokens.Is(TokenKind.End))
        {
            var token = _tokens.Take();
            if (token.Kind == TokenKind.Data)
            {
                statements.Add(new TextStatement(token.Line, token.Text));
            }
            else if (token.Kind == TokenKind.VariableBegin)
            {
                statements.Add(new OutputStatement(token.Line, _expressions.ParseTuple()));
                _tokens.Expect(TokenKind.VariableEnd, "'}}'");
            }
            else if (ends.Any(_tokens.Is))
            {
                _state.Leave();
                return statements;
            }
            else
            {
                statements.Add(Statement(ends));
                _tokens.Expect(TokenKind.BlockEnd, "'%}'");
            }
        }

        _state.Leave();
        return ends.Length == 0
            ? statements
            : throw new TemplateException($"the template ends where {Tags(ends)} is expected", line);
    }

    private Statement Statement(string[] ends)
    {
        var name = _tokens.Expect(TokenKind.Name, "the name of a statement");
        if (_statements.TryGetValue(name.Text, out var parse))
        {
            return parse(name.Line);
        }

        throw name.Text is "extends" or "include" or "import" or "from"
            ? TemplateException.Unsupported($"the statement '{name.Text}'", name.Line)
            : new TemplateException(
                $"unknown statement '{name.Text}'" + (ends.Length == 0 ? "" : $", expected {Tags(ends)}"), name.Line);
    }

    private static string Tags(string[] ends) => string.Join(" or ", ends.Select(end => $"'{end}'"));

    // Parses the body of a statement up to one of its end tags; takes and returns the tag.
    private (List<Statement> Body, string End) Body(bool soft, params string[] ends)
    {
        _tokens.Skip(TokenKind.Colon);
        _tokens.Expect(TokenKind.BlockEnd, "'%}'");
        var outer = _state.IsSoft;
        _state.IsSoft = soft;
        var body = Statements(ends);
        _state.IsSoft = outer;
        return (body, _tokens.Take().Text);
    }

    private IfStatement If(int line)
    {
        var outer = _state.IsSoft;
        _state.IsSoft = true;
        var branches = new List<(Expression, IReadOnlyList<Statement>)>();
        List<Statement> otherwise = [];
        string end;
        do
        {
            var condition = _expressions.ParseTuple(withCondition: false);
            (var body, end) = Body(true, "elif", "else", "endif");
            branches.Add((condition, body));
        }
        while (end == "elif");

        if (end == "else")
        {
            (otherwise, _) = Body(true, "endif");
        }

        _state.IsSoft = outer;
        return new IfStatement(line, branches, otherwise);
    }

    private ForStatement For(int line)
    {
        var target = _expressions.ParseTarget("in");
        RefuseLoop(target, line);

        _tokens.Expect("in");
        var iterable = _expressions.ParseTuple(withCondition: false, end: "recursive");
        var condition = _tokens.Skip("if") ? _expressions.Parse() : null;
        var isRecursive = _tokens.Skip("recursive");
        _state.Loops++;
        _state.AllLoops++;
        var (body, end) = Body(false, "endfor", "else");
        _state.Loops--;
        var otherwise = end == "else" ? Body(false, "endfor").Body : [];
        _state.AllLoops--;
        return new ForStatement(line, target, iterable, condition, isRecursive, body, otherwise);
    }

    private static void RefuseLoop(Expression target, int line)
    {
        if (Assignment.Names(target).Contains("loop"))
        {
            throw new TemplateException("the special name 'loop' cannot be assigned in a loop", line);
        }
    }

    private Statement Set(int line)
    {
        var target = _expressions.ParseTarget(withNamespace: true);
        if (_state.AllLoops > 0)
        {
            RefuseLoop(target, line);
        }

        if (_tokens.Skip(TokenKind.Assign))
        {
            return new SetStatement(line, target, _expressions.ParseTuple());
        }

        var filter = _tokens.Skip(TokenKind.Pipe) ? _expressions.Operands.BlockFilter() : null;
        return new SetBlockStatement(line, target, filter, Body(false, "endset").Body);
    }

    private WithStatement With(int line)
    {
        var assignments = new List<(Expression, Expression)>();
        while (!_tokens.Is(TokenKind.BlockEnd))
        {
            if (assignments.Count > 0)
            {
                _tokens.Expect(TokenKind.Comma, "','");
            }

            var target = _expressions.ParseTarget();
            _tokens.Expect(TokenKind.Assign, "'='");
            assignments.Add((target, _expressions.Parse()));
        }

        return new WithStatement(line, assignments, Body(false, "endwith").Body);
    }

    private BlockStatement Block(int line)
    {
        var name = _tokens.Expect(TokenKind.Name, "the name of a block").Text;
        var isScoped = _tokens.Skip("scoped");
        _tokens.Skip("required");
        var loops = _state.Loops;
        _state.Loops = 0;
        var body = Body(false, "endblock").Body;
        _state.Loops = loops;
        _tokens.Skip(name);
        return new BlockStatement(line, isScoped, body);
    }

    private FilterBlockStatement Filter(int line)
    {
        var filter = _expressions.Operands.BlockFilter();
        return new FilterBlockStatement(line, filter, Body(false, "endfilter").Body);
    }

    // Chat templates escape nothing, so turning escaping off is allowed.
    private WithStatement AutoEscape(int line) =>
        _expressions.Parse() is ConstantExpression { Value: false }
            ? new WithStatement(line, [], Body(false, "endautoescape").Body)
            : throw TemplateException.Unsupported("the statement 'autoescape' with anything but false", line);

    private PrintStatement Print(int line)
    {
        var values = new List<Expression>();
        while (!_tokens.Is(TokenKind.BlockEnd))
        {
            if (values.Count > 0)
            {
                _tokens.Expect(TokenKind.Comma, "','");
            }

            values.Add(_expressions.Parse());
        }

        return new PrintStatement(line, values);
    }

    private LoopControlStatement LoopControl(int line, Flow flow) => _state.Loops > 0
        ? new LoopControlStatement(line, flow)
        : throw new TemplateException(
            $"'{(flow == Flow.Break ? "break" : "continue")}' stands outside of a loop", line);
}

/// <summary>Parses macros, call blocks and generation blocks, whose bodies are separate functions.</summary>
internal sealed class MacroParser(ParserState state, ExpressionParser expressions, BodyParser parseBody)
{
    private readonly TokenStream _tokens = state.Tokens;

    /// <summary>Parses the part after <c>macro</c>.</summary>
    public MacroStatement Macro(int line)
    {
        var name = _tokens.Expect(TokenKind.Name, "the name of the macro").Text;
        var names = state.BeginReader();
        var parameters = Parameters();
        var definition = Definition(line, name, parameters, names, "endmacro");
        return new MacroStatement(line, definition);
    }

    /// <summary>Parses the part after <c>call</c>.</summary>
    public CallBlockStatement CallBlock(int line)
    {
        var names = state.BeginReader();
        var parameters = _tokens.Is(TokenKind.OpenParenthesis) ? Parameters() : [];
        state.EndReader();
        if (expressions.Parse() is not CallExpression call)
        {
            throw new TemplateException("a call block has to call a macro", line);
        }

        return new CallBlockStatement(
            line, Definition(line, "caller", parameters, state.BeginReader(names), "endcall"), call);
    }

    /// <summary>Parses the part after <c>generation</c>.</summary>
    public GenerationStatement Generation(int line)
    {
        state.HasGeneration = true;
        return new GenerationStatement(line, Isolated("endgeneration"));
    }

    private MacroDefinition Definition(
        int line, string name, List<MacroParameter> parameters, HashSet<string> names, string end)
    {
        var body = Isolated(end);
        state.EndReader();
        var caller = parameters.Find(parameter => parameter.Name == "caller");
        return caller is { Default: null } && names.Contains("caller")
            ? throw new TemplateException("a parameter named 'caller' needs a default, or has to be left out", line)
            : new MacroDefinition(name, parameters, body, names);
    }

    // The body is a separate function, so it cannot break out of enclosing loops.
    private List<Statement> Isolated(string end)
    {
        var loops = state.Loops;
        state.Loops = 0;
        var body = parseBody(false, end).Body;
        state.Loops = loops;
        return body;
    }

    private List<MacroParameter> Parameters()
    {
        _tokens.Expect(TokenKind.OpenParenthesis, "'('");
        var parameters = new List<MacroParameter>();
        while (!_tokens.Is(TokenKind.CloseParenthesis))
        {
            if (parameters.Count > 0)
            {
                _tokens.Expect(TokenKind.Comma, "','");
            }

            var token = _tokens.Expect(TokenKind.Name, "the name of a parameter");
            var value = _tokens.Skip(TokenKind.Assign) ? expressions.Parse() : null;
            if (value is null && parameters.Exists(parameter => parameter.Default is not null))
            {
                throw new TemplateException(
                    $"the parameter '{token.Text}' without default follows one with a default", token.Line);
            }

            parameters.Add(new MacroParameter(token.Text, value));
        }

        _tokens.Expect(TokenKind.CloseParenthesis, "')'");
        return parameters;
    }
}
