namespace LowRank.Tokenization.Templates.Values;

/// <summary>Jinja's <c>namespace</c>: the one value whose attributes a template can assign.</summary>
internal sealed class NamespaceValue
{
    /// <summary>The attributes in the order they were set first.</summary>
    public OrderedDictionary<string, object> Attributes { get; } = new(StringComparer.Ordinal);
}
