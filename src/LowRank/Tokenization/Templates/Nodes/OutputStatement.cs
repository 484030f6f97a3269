using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>{{ expression }}</c>.</summary>
internal sealed class OutputStatement(int line, Expression value) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        renderer.Write(value.Evaluate(renderer));
        return Flow.Normal;
    }
}
