using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>{% set target = value %}</c>.</summary>
internal sealed class SetStatement(int line, Expression target, Expression value) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        Assignment.Assign(renderer, renderer.Scope, target, value.Evaluate(renderer));
        return Flow.Normal;
    }
}
