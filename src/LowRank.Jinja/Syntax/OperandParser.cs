namespace LowRank.Jinja;

/// <summary>Parses literals and names, followed by attributes, elements, calls, filters and tests.</summary>
internal sealed class OperandParser(ParserState state, ExpressionParser expressions)
{
    private readonly TokenStream _tokens = state.Tokens;
    private readonly ArgumentParser _arguments = new(state.Tokens, expressions);

    /// <summary>Parses a literal, a name, a list, a dictionary or a parenthesised expression.</summary>
    /// <param name="withNamespace">Whether <c>a.b</c> is the attribute of a namespace, as a target of
    /// <c>set</c>.</param>
    public Expression Primary(bool withNamespace = false)
    {
        var token = _tokens.Current;
        switch (token.Kind)
        {
            case TokenKind.Name:
                return Name(withNamespace);
            case TokenKind.String:
                return String();
            case TokenKind.Integer:
                _tokens.Take();
                return new ConstantExpression(token.Line, NumberLiteral.Integer(token.Text, token.Line));
            case TokenKind.Float:
                _tokens.Take();
                return new ConstantExpression(token.Line, NumberLiteral.Float(token.Text));
            case TokenKind.OpenParenthesis:
                _tokens.Take();
                state.Enter();
                var inner = expressions.ParseTuple(allowEmpty: true);
                state.Leave();
                _tokens.Expect(TokenKind.CloseParenthesis, "')'");
                return inner;
            case TokenKind.OpenBracket:
                _tokens.Take();
                return new ListExpression(token.Line, Items(TokenKind.CloseBracket, "']'", () => expressions.Parse()));
            case TokenKind.OpenBrace:
                _tokens.Take();
                return new DictionaryExpression(token.Line, Items(TokenKind.CloseBrace, "'}'", Pair));
            default:
                throw new TemplateException($"expected an expression, found {token.Description}", token.Line);
        }
    }

    /// <summary>Parses attributes, elements and calls.</summary>
    public Expression Postfix(Expression expression)
    {
        while (true)
        {
            switch (_tokens.Current.Kind)
            {
                case TokenKind.Dot:
                    expression = Attribute(expression);
                    break;
                case TokenKind.OpenBracket:
                    expression = Subscript(expression);
                    break;
                case TokenKind.OpenParenthesis:
                    expression = Call(expression);
                    break;
                default:
                    return expression;
            }
        }
    }

    /// <summary>Parses filters and tests.</summary>
    public Expression FiltersAndTests(Expression expression)
    {
        while (true)
        {
            if (_tokens.Is(TokenKind.Pipe))
            {
                _tokens.Take();
                expression = Filter(expression);
            }
            else if (_tokens.Is("is"))
            {
                expression = Test(expression);
            }
            else if (_tokens.Is(TokenKind.OpenParenthesis))
            {
                expression = Call(expression);
            }
            else
            {
                return expression;
            }
        }
    }

    /// <summary>Parses the filters of a block: a chain that begins with the block's text.</summary>
    public FilterExpression BlockFilter()
    {
        var filter = Filter(null);
        while (_tokens.Skip(TokenKind.Pipe))
        {
            filter = Filter(filter);
        }

        return filter;
    }

    private Expression Name(bool withNamespace)
    {
        var token = _tokens.Take();
        switch (token.Text)
        {
            case "true" or "True":
                return new ConstantExpression(token.Line, true);
            case "false" or "False":
                return new ConstantExpression(token.Line, false);
            case "none" or "None":
                return new ConstantExpression(token.Line, None.Value);
            case "self":
                throw TemplateException.Unsupported("the name 'self'", token.Line);
        }

        if (withNamespace && _tokens.Skip(TokenKind.Dot))
        {
            var attribute = _tokens.Expect(TokenKind.Name, "the name of an attribute").Text;
            return new NamespaceReference(token.Line, token.Text, attribute);
        }

        state.NoteRead(token.Text);
        return new NameExpression(token.Line, token.Text);
    }

    // Adjacent strings are joined.
    private ConstantExpression String()
    {
        var token = _tokens.Take();
        var parts = new List<string> { token.Text };
        while (_tokens.Is(TokenKind.String))
        {
            parts.Add(_tokens.Take().Text);
        }

        return new ConstantExpression(token.Line, string.Concat(parts));
    }

    private List<T> Items<T>(TokenKind close, string description, Func<T> parse)
    {
        var items = new List<T>();
        while (!_tokens.Is(close))
        {
            items.Add(parse());
            if (!_tokens.Skip(TokenKind.Comma))
            {
                break;
            }
        }

        _tokens.Expect(close, description);
        return items;
    }

    private (Expression Key, Expression Value) Pair()
    {
        var key = expressions.Parse();
        _tokens.Expect(TokenKind.Colon, "':'");
        return (key, expressions.Parse());
    }

    private Expression Attribute(Expression owner)
    {
        var line = _tokens.Take().Line;
        if (_tokens.Is(TokenKind.Integer))
        {
            var index = _tokens.Take();
            return new ItemExpression(
                line, owner, new ConstantExpression(index.Line, NumberLiteral.Integer(index.Text, index.Line)));
        }

        return new AttributeExpression(line, owner, _tokens.Expect(TokenKind.Name, "a name or number after '.'").Text);
    }

    private Expression Subscript(Expression owner)
    {
        var line = _tokens.Take().Line;
        if (_tokens.Skip(TokenKind.CloseBracket))
        {
            return new ItemExpression(line, owner, new TupleExpression(line, []));
        }

        var start = _tokens.Is(TokenKind.Colon) ? null : expressions.Parse();
        if (!_tokens.Skip(TokenKind.Colon))
        {
            if (!_tokens.Skip(TokenKind.Comma))
            {
                _tokens.Expect(TokenKind.CloseBracket, "']'");
                return new ItemExpression(line, owner, start!);
            }

            var rest = Items(TokenKind.CloseBracket, "']'", () => expressions.Parse());
            return new ItemExpression(line, owner, new TupleExpression(line, [start!, .. rest]));
        }

        var stop = Bound();
        var step = _tokens.Skip(TokenKind.Colon) ? Bound() : null;
        _tokens.Expect(TokenKind.CloseBracket, "']'");
        return new SliceExpression(line, owner, start, stop, step);
    }

    private Expression? Bound() =>
        _tokens.Current.Kind is TokenKind.Colon or TokenKind.CloseBracket ? null : expressions.Parse();

    private CallExpression Call(Expression function)
    {
        var line = _tokens.Current.Line;
        return new CallExpression(line, function, _arguments.Parse());
    }

    private FilterExpression Filter(Expression? input)
    {
        var (name, line) = DottedName("the name of a filter");
        if (FilterTable.Problem(name) is { } problem)
        {
            state.AddUnknown(problem, line);
        }

        var arguments = _tokens.Is(TokenKind.OpenParenthesis) ? _arguments.Parse() : ArgumentList.Empty;
        return new FilterExpression(line, input, name, arguments);
    }

    private Expression Test(Expression input)
    {
        _tokens.Take();
        var negated = _tokens.Skip("not");
        var (name, line) = DottedName("the name of a test");
        if (TestTable.Problem(name) is { } problem)
        {
            state.AddUnknown(problem, line);
        }

        var arguments = ArgumentList.Empty;
        if (_tokens.Is(TokenKind.OpenParenthesis))
        {
            arguments = _arguments.Parse();
        }
        else if (BeginsArgument())
        {
            arguments = new ArgumentList([Postfix(Primary())], [], null, null);
        }

        var test = new TestExpression(line, input, name, arguments);
        return negated ? new UnaryExpression(line, TokenKind.Name, test) : test;
    }

    private bool BeginsArgument()
    {
        if (_tokens.Is("is"))
        {
            throw new TemplateException("tests cannot be chained with 'is'", _tokens.Current.Line);
        }

        return _tokens.Current.Kind is TokenKind.Name or TokenKind.String or TokenKind.Integer or TokenKind.Float
            or TokenKind.OpenBracket or TokenKind.OpenBrace
            && !_tokens.Is("else") && !_tokens.Is("or") && !_tokens.Is("and");
    }

    private (string Name, int Line) DottedName(string description)
    {
        var token = _tokens.Expect(TokenKind.Name, description);
        var parts = new List<string> { token.Text };
        while (_tokens.Skip(TokenKind.Dot))
        {
            parts.Add(_tokens.Expect(TokenKind.Name, description).Text);
        }

        return (string.Join('.', parts), token.Line);
    }
}
