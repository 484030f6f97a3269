using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>A literal.</summary>
internal sealed class ConstantExpression(int line, object value) : Expression(line)
{
    /// <summary>The value.</summary>
    public object Value { get; } = value;

    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) => Value;
}
