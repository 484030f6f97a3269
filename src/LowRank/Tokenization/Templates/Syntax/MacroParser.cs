using LowRank.Tokenization.Templates.Nodes;
using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Syntax;

/// <summary>Parses macros, call blocks and generation blocks: bodies that are functions of their own.</summary>
internal sealed class MacroParser(ParserState state, ExpressionParser expressions, BodyParser parseBody)
{
    private readonly TokenStream _tokens = state.Tokens;

    /// <summary>Parses what follows <c>macro</c>.</summary>
    public MacroStatement Macro(int line)
    {
        var name = _tokens.Expect(TokenKind.Name, "the name of the macro").Text;
        var names = state.BeginReader();
        var parameters = Parameters();
        var definition = Definition(line, name, parameters, names, "endmacro");
        return new MacroStatement(line, definition);
    }

    /// <summary>Parses what follows <c>call</c>.</summary>
    public CallBlockStatement CallBlock(int line)
    {
        var names = state.BeginReader();
        var parameters = _tokens.Is(TokenKind.OpenParenthesis) ? Parameters() : [];
        state.EndReader();
        if (expressions.Parse() is not CallExpression call)
        {
            throw new TemplateFault("a call block has to call a macro", line);
        }

        return new CallBlockStatement(line, Definition(line, "caller", parameters, state.BeginReader(names), "endcall"), call);
    }

    /// <summary>Parses what follows <c>generation</c>.</summary>
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
            ? throw new TemplateFault("a parameter named 'caller' needs a default, or has to be left out", line)
            : new MacroDefinition(name, parameters, body, names);
    }

    // A body that is a function of its own: loops around it cannot be left from inside.
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
                throw new TemplateFault($"the parameter '{token.Text}' without default follows one with a default", token.Line);
            }

            parameters.Add(new MacroParameter(token.Text, value));
        }

        _tokens.Expect(TokenKind.CloseParenthesis, "')'");
        return parameters;
    }
}
