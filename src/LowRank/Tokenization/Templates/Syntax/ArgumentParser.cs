using LowRank.Tokenization.Templates.Nodes;
using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Syntax;

/// <summary>Parses the arguments of calls, filters and tests.</summary>
internal sealed class ArgumentParser(TokenStream tokens, ExpressionParser expressions)
{
    /// <summary>Parses arguments with the parentheses around them.</summary>
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
                throw new TemplateFault("the arguments of a call are in a wrong order", line);
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
