using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>owner.name</c>.</summary>
internal sealed class AttributeExpression(int line, Expression owner, string name) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) =>
        Access.Attribute(renderer, owner.Evaluate(renderer), name);
}
