namespace LowRank.Tokenization.Templates.Values;

/// <summary>A Python tuple.</summary>
/// <param name="Items">The items.</param>
/// <param name="Names">Names of the items as attributes, where it is a named tuple.</param>
internal sealed record TupleValue(IReadOnlyList<object> Items, IReadOnlyList<string>? Names = null);
