namespace LowRank.Tokenization.Templates.Values;

/// <summary>A Python list; the sandbox does not let templates change it.</summary>
internal sealed record ListValue(IReadOnlyList<object> Items);
