namespace LowRank.Jinja;

/// <summary>Parses expressions from the conditional (weakest) to signs; <see cref="OperandParser"/> parses the
/// rest.</summary>
internal sealed class ExpressionParser
{
    private readonly ParserState _state;
    private readonly TokenStream _tokens;
    private readonly OperandParser _operands;

    public ExpressionParser(ParserState state)
    {
        _state = state;
        _tokens = state.Tokens;
        _operands = new OperandParser(state, this);
    }

    /// <summary>Parses literals, names, calls, filters and tests.</summary>
    public OperandParser Operands => _operands;

    /// <summary>Parses an expression.</summary>
    /// <param name="withCondition">Whether it may be <c>a if b else c</c>.</param>
    public Expression Parse(bool withCondition = true)
    {
        _state.Enter();
        var expression = withCondition ? Conditional() : Or();
        _state.Leave();
        return expression;
    }

    /// <summary>Parses an expression, or several separated by commas, which form a tuple.</summary>
    /// <param name="withCondition">Whether they may be <c>a if b else c</c>.</param>
    /// <param name="end">A keyword that ends the tuple, or null.</param>
    /// <param name="allowEmpty">Whether an empty source is an empty tuple.</param>
    public Expression ParseTuple(bool withCondition = true, string? end = null, bool allowEmpty = false) =>
        ParseTuple(() => Parse(withCondition), end, allowEmpty);

    /// <summary>Parses the targets of <c>for</c>, <c>set</c> and <c>with</c>.</summary>
    public Expression ParseTarget(string? end = null, bool withNamespace = false)
    {
        var line = _tokens.Current.Line;
        var target = ParseTuple(() => _operands.Primary(withNamespace), end, false);
        return Assignment.IsTarget(target)
            ? target
            : throw new TemplateException(
                "cannot assign to this expression; a target is a name, several names, or an attribute of a namespace",
                line);
    }

    private Expression ParseTuple(Func<Expression> parse, string? end, bool allowEmpty)
    {
        var line = _tokens.Current.Line;
        var items = new List<Expression>();
        var isTuple = false;
        while (!IsTupleEnd(end))
        {
            items.Add(parse());
            if (!_tokens.Skip(TokenKind.Comma))
            {
                break;
            }

            isTuple = true;
        }

        if (!isTuple && items.Count == 1)
        {
            return items[0];
        }

        return isTuple || allowEmpty
            ? new TupleExpression(line, items)
            : throw new TemplateException($"expected an expression, found {_tokens.Current.Description}", line);
    }

    private bool IsTupleEnd(string? end) =>
        _tokens.Current.Kind is TokenKind.VariableEnd or TokenKind.BlockEnd or TokenKind.CloseParenthesis
        || (end is not null && _tokens.Is(end));

    private Expression Conditional()
    {
        var line = _tokens.Current.Line;
        var unknown = _state.UnknownCount;
        var expression = Or();
        while (_tokens.Skip("if"))
        {
            var condition = Or();
            Expression? otherwise = null;
            if (_tokens.Skip("else"))
            {
                _state.Enter();
                otherwise = Conditional();
                _state.Leave();
            }

            _state.Forget(unknown);
            expression = new ConditionalExpression(line, condition, expression, otherwise);
            line = _tokens.Current.Line;
        }

        return expression;
    }

    private Expression Or()
    {
        var left = And();
        while (_tokens.Is("or"))
        {
            var line = _tokens.Take().Line;
            left = new LogicalExpression(line, false, left, And());
        }

        return left;
    }

    private Expression And()
    {
        var left = Not();
        while (_tokens.Is("and"))
        {
            var line = _tokens.Take().Line;
            left = new LogicalExpression(line, true, left, Not());
        }

        return left;
    }

    private Expression Not()
    {
        if (!_tokens.Is("not"))
        {
            return Compare();
        }

        _state.Enter();
        var line = _tokens.Take().Line;
        var expression = new UnaryExpression(line, TokenKind.Name, Not());
        _state.Leave();
        return expression;
    }

    private Expression Compare()
    {
        var line = _tokens.Current.Line;
        var first = Sum();
        var rest = new List<(TokenKind, bool, Expression)>();
        while (true)
        {
            var kind = _tokens.Current.Kind;
            if (kind is TokenKind.Equal or TokenKind.NotEqual or TokenKind.Less or TokenKind.LessOrEqual
                or TokenKind.Greater or TokenKind.GreaterOrEqual)
            {
                _tokens.Take();
                rest.Add((kind, false, Sum()));
            }
            else if (_tokens.Skip("in"))
            {
                rest.Add((TokenKind.Name, false, Sum()));
            }
            else if (_tokens.Is("not") && _tokens.Following is { Kind: TokenKind.Name, Text: "in" })
            {
                _tokens.Take();
                _tokens.Take();
                rest.Add((TokenKind.Name, true, Sum()));
            }
            else
            {
                return rest.Count == 0 ? first : new ComparisonExpression(line, first, rest);
            }
        }
    }

    private Expression Sum() => Binary(Concatenation, TokenKind.Plus, TokenKind.Minus);

    private Expression Concatenation()
    {
        var line = _tokens.Current.Line;
        var items = new List<Expression> { Product() };
        while (_tokens.Skip(TokenKind.Tilde))
        {
            items.Add(Product());
        }

        return items.Count == 1 ? items[0] : new ConcatenationExpression(line, items);
    }

    private Expression Product() =>
        Binary(Power, TokenKind.Star, TokenKind.Slash, TokenKind.DoubleSlash, TokenKind.Percent);

    // Unlike in Python, ** is left-associative, and a sign binds more tightly.
    private Expression Power() => Binary(() => Signed(), TokenKind.DoubleStar);

    private Expression Binary(Func<Expression> operand, params ReadOnlySpan<TokenKind> operations)
    {
        var left = operand();
        while (operations.Contains(_tokens.Current.Kind))
        {
            var operation = _tokens.Take();
            left = new BinaryExpression(operation.Line, operation.Kind, left, operand());
        }

        return left;
    }

    private Expression Signed(bool withFilter = true)
    {
        var token = _tokens.Current;
        Expression expression;
        if (token.Kind is TokenKind.Minus or TokenKind.Plus)
        {
            _state.Enter();
            _tokens.Take();
            expression = new UnaryExpression(token.Line, token.Kind, Signed(false));
            _state.Leave();
        }
        else
        {
            expression = _operands.Primary();
        }

        expression = _operands.Postfix(expression);
        return withFilter ? _operands.FiltersAndTests(expression) : expression;
    }
}

/// <summary>Parses the arguments of calls, filters and tests.</summary>
internal sealed class ArgumentParser(TokenStream tokens, ExpressionParser expressions)
{
    /// <summary>Parses arguments including their parentheses.</summary>
    public ArgumentList Parse()
    {
        var line = tokens.Expect(TokenKind.OpenParenthesis, "'('").Line;
        var positional = new List<Expression>();
        var named = new List<(string, Expression)>();
        Expression? unpacked = null;
        Expression? unpackedNamed = null;
        while (!tokens.Is(TokenKind.CloseParenthesis))
        {
            var valid = unpackedNamed is null;
            if (tokens.Skip(TokenKind.Star))
            {
                valid &= unpacked is null;
                unpacked = expressions.Parse();
            }
            else if (tokens.Skip(TokenKind.DoubleStar))
            {
                unpackedNamed = expressions.Parse();
            }
            else if (tokens.Is(TokenKind.Name) && tokens.Following.Kind == TokenKind.Assign)
            {
                var name = tokens.Take().Text;
                tokens.Take();
                named.Add((name, expressions.Parse()));
            }
            else
            {
                valid &= unpacked is null && named.Count == 0;
                positional.Add(expressions.Parse());
            }

            if (!valid)
            {
                throw new TemplateException("the arguments of a call are in the wrong order", line);
            }

            if (!tokens.Skip(TokenKind.Comma))
            {
                break;
            }
        }

        tokens.Expect(TokenKind.CloseParenthesis, "')'");
        return new ArgumentList(positional, named, unpacked, unpackedNamed);
    }
}
