using LowRank.Tokenization.Templates.Library;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>A call.</summary>
internal sealed class CallExpression(int line, Expression function, ArgumentList arguments) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) => Call(renderer, null);

    /// <summary>Calls with the body of a call block as the argument <c>caller</c>, where there is one.</summary>
    public object Call(Renderer renderer, MacroValue? caller)
    {
        var target = function.Evaluate(renderer);
        var values = arguments.Evaluate(renderer);
        if (caller is not null)
        {
            values = values with { Named = [.. values.Named, KeyValuePair.Create("caller", (object)caller)] };
        }

        renderer.Budget.Line = Line;
        return Calls.Invoke(renderer, target, values);
    }
}
