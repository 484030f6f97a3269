using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Syntax;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>Arithmetic on two values.</summary>
internal sealed class BinaryExpression(int line, TokenKind operation, Expression left, Expression right)
    : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer)
    {
        var one = left.Evaluate(renderer);
        var two = right.Evaluate(renderer);
        renderer.Budget.Line = Line;
        return operation switch
        {
            TokenKind.Plus => Arithmetic.Add(renderer, one, two),
            TokenKind.Minus => Arithmetic.Subtract(one, two),
            TokenKind.Star => Arithmetic.Multiply(renderer, one, two),
            TokenKind.Slash => Arithmetic.Divide(one, two),
            TokenKind.DoubleSlash => Arithmetic.FloorDivide(one, two),
            TokenKind.Percent => Arithmetic.Modulo(renderer, one, two),
            _ => Arithmetic.Power(one, two),
        };
    }
}
