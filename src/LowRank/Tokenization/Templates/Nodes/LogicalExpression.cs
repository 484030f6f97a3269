using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>and</c> and <c>or</c>: the value is one of the operands, and the second is read only where it decides.</summary>
internal sealed class LogicalExpression(int line, bool isAnd, Expression left, Expression right) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer)
    {
        var value = left.Evaluate(renderer);
        return Truth.Of(renderer, value) == isAnd ? right.Evaluate(renderer) : value;
    }
}
