using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>{% filter %}</c>.</summary>
internal sealed class FilterBlockStatement(int line, FilterExpression filter, IReadOnlyList<Statement> body)
    : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        var text = renderer.Capture(body, new Scope(renderer.Scope), out var flow);
        if (flow == Flow.Normal)
        {
            renderer.Write(filter.Apply(renderer, text));
        }

        return flow;
    }
}
