using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>owner[key]</c>.</summary>
internal sealed class ItemExpression(int line, Expression owner, Expression key) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) =>
        Access.Item(renderer, owner.Evaluate(renderer), key.Evaluate(renderer));
}
