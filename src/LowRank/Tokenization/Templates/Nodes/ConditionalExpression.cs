using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>a if condition else b</c>; without <c>else</c> the value is undefined.</summary>
internal sealed class ConditionalExpression(int line, Expression condition, Expression then, Expression? otherwise)
    : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) => Truth.Of(renderer, condition.Evaluate(renderer))
        ? then.Evaluate(renderer)
        : otherwise?.Evaluate(renderer) ?? new UndefinedValue(
            $"the inline if-expression on line {Line} evaluated to false and no else section was defined");
}
