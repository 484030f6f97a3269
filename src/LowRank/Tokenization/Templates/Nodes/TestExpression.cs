using LowRank.Tokenization.Templates.Library;
using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>value is test</c>.</summary>
internal sealed class TestExpression(int line, Expression input, string name, ArgumentList arguments)
    : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer)
    {
        var value = input.Evaluate(renderer);
        var values = arguments.Evaluate(renderer);
        renderer.Budget.Line = Line;
        return TestTable.Apply(renderer, name, value, values);
    }
}
