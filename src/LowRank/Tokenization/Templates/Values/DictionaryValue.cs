using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Values;

/// <summary>A Python dictionary: keeps the order of its keys; the sandbox does not let templates change it.</summary>
internal sealed class DictionaryValue(ValueComparer keys)
{
    /// <summary>The items in order.</summary>
    public OrderedDictionary<object, object> Items { get; } = new(keys);
}
