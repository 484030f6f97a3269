using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>
/// <c>{% block %}</c>: without inheritance it renders where it stands. Unless it is <c>scoped</c> it sees the template's
/// outermost names only.
/// </summary>
internal sealed class BlockStatement(int line, bool isScoped, IReadOnlyList<Statement> body) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        renderer.Run(body, new Scope(isScoped ? renderer.Scope : renderer.Root));
        return Flow.Normal;
    }
}
