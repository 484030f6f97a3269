using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>{% generation %}</c>: marks what the assistant said. As in the reference it opens a scope.</summary>
internal sealed class GenerationStatement(int line, IReadOnlyList<Statement> body) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        renderer.RunGeneration(body);
        return Flow.Normal;
    }
}
