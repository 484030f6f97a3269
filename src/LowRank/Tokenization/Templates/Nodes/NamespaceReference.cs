using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>An attribute of a namespace as a target of <c>set</c>; never evaluated.</summary>
internal sealed class NamespaceReference(int line, string name, string attribute) : Expression(line)
{
    /// <summary>The variable that holds the namespace.</summary>
    public string Name { get; } = name;

    /// <summary>The attribute.</summary>
    public string Attribute { get; } = attribute;

    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) =>
        throw new InvalidOperationException("a target of an assignment has no value");
}
