using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Syntax;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>A sign, or <c>not</c>.</summary>
internal sealed class UnaryExpression(int line, TokenKind operation, Expression operand) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer)
    {
        var value = operand.Evaluate(renderer);
        return operation switch
        {
            TokenKind.Minus => Arithmetic.Negate(value),
            TokenKind.Plus => Arithmetic.Plus(value),
            _ => !Truth.Of(renderer, value),
        };
    }
}
