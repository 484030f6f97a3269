using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>{% call %}</c>: calls a macro that may render the block's body by <c>caller()</c>.</summary>
internal sealed class CallBlockStatement(int line, MacroDefinition body, CallExpression call) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        renderer.Write(call.Call(renderer, new MacroValue(body, renderer.Scope)));
        return Flow.Normal;
    }
}
