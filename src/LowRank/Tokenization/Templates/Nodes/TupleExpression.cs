using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>A tuple, with or without parentheses.</summary>
internal sealed class TupleExpression(int line, IReadOnlyList<Expression> items) : Expression(line)
{
    /// <summary>The items.</summary>
    public IReadOnlyList<Expression> Items { get; } = items;

    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) =>
        new TupleValue([.. Items.Select(item => item.Evaluate(renderer))]);
}
