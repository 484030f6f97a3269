using System.Text;
using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>a ~ b</c>: the values as text, one after the other.</summary>
internal sealed class ConcatenationExpression(int line, IReadOnlyList<Expression> items) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer)
    {
        var result = new StringBuilder();
        foreach (var item in items)
        {
            var text = Display.Text(renderer, item.Evaluate(renderer));
            renderer.Budget.CheckLength((long)result.Length + text.Length);
            renderer.Budget.SpendCharacters(text.Length);
            result.Append(text);
        }

        return result.ToString();
    }
}
