using LowRank.Tokenization.Templates.Library;
using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>A filter applied to a value, or, in a filter block, to the block's text.</summary>
internal sealed class FilterExpression(int line, Expression? input, string name, ArgumentList arguments)
    : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) => Apply(renderer, null);

    /// <summary>Applies the chain of filters to the text of a block.</summary>
    public object Apply(Renderer renderer, string? block)
    {
        var value = input switch
        {
            null => block!,
            FilterExpression inner => inner.ApplyInner(renderer, block),
            _ => input.Evaluate(renderer),
        };
        var values = arguments.Evaluate(renderer);
        renderer.Budget.Line = Line;
        return FilterTable.Apply(renderer, name, value, values);
    }

    private object ApplyInner(Renderer renderer, string? block)
    {
        renderer.Budget.Begin(Line);
        return Apply(renderer, block);
    }
}
