using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>owner[start:stop:step]</c>; a bound that is left out is null.</summary>
internal sealed class SliceExpression(
    int line, Expression owner, Expression? start, Expression? stop, Expression? step) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) => Access.Slice(
        renderer, owner.Evaluate(renderer), Bound(renderer, start), Bound(renderer, stop), Bound(renderer, step));

    private static object Bound(Renderer renderer, Expression? bound) => bound?.Evaluate(renderer) ?? None.Value;
}
