using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>{% set target %}...{% endset %}</c>: the block's text, through filters where there are any.</summary>
internal sealed class SetBlockStatement(
    int line, Expression target, FilterExpression? filter, IReadOnlyList<Statement> body) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        var text = renderer.Capture(body, new Scope(renderer.Scope), out var flow);
        if (flow == Flow.Normal)
        {
            Assignment.Assign(renderer, renderer.Scope, target, filter is null ? text : filter.Apply(renderer, text));
        }

        return flow;
    }
}
