using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>{% macro %}</c>.</summary>
internal sealed class MacroStatement(int line, MacroDefinition definition) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        renderer.Scope.Set(definition.Name, new MacroValue(definition, renderer.Scope));
        return Flow.Normal;
    }
}
