using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>A list.</summary>
internal sealed class ListExpression(int line, IReadOnlyList<Expression> items) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) =>
        new ListValue([.. items.Select(item => item.Evaluate(renderer))]);
}
