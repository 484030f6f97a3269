using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>{% if %}</c> with its branches; opens no scope.</summary>
internal sealed class IfStatement(
    int line, IReadOnlyList<(Expression Condition, IReadOnlyList<Statement> Body)> branches,
    IReadOnlyList<Statement> otherwise) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        foreach (var (condition, body) in branches)
        {
            if (Truth.Of(renderer, condition.Evaluate(renderer)))
            {
                return renderer.Run(body);
            }
        }

        return renderer.Run(otherwise);
    }
}
