using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>{% print a, b %}</c>.</summary>
internal sealed class PrintStatement(int line, IReadOnlyList<Expression> values) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        foreach (var value in values)
        {
            renderer.Write(value.Evaluate(renderer));
        }

        return Flow.Normal;
    }
}
