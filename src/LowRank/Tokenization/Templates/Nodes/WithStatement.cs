using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>{% with %}</c>: names that hold inside only; their values do not see each other.</summary>
internal sealed class WithStatement(
    int line, IReadOnlyList<(Expression Target, Expression Value)> assignments, IReadOnlyList<Statement> body)
    : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        var scope = new Scope(renderer.Scope);
        foreach (var (target, value) in assignments)
        {
            Assignment.Assign(renderer, scope, target, value.Evaluate(renderer));
        }

        return renderer.Run(body, scope);
    }
}
