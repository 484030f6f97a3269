using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>A variable.</summary>
internal sealed class NameExpression(int line, string name) : Expression(line)
{
    /// <summary>The variable's name.</summary>
    public string Name { get; } = name;

    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) =>
        renderer.Scope.Find(Name) ?? UndefinedValue.Variable(Name);
}
