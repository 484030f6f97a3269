using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>A literal.</summary>
internal sealed class ConstantExpression(int line, object value) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) => value;
}
