using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>{% break %}</c> and <c>{% continue %}</c>.</summary>
internal sealed class LoopControlStatement(int line, Flow flow) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer) => flow;
}
