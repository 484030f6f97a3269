namespace LowRank.Tokenization.Templates.Values;

/// <summary>Python's <c>None</c>.</summary>
internal sealed class None
{
    private None() { }

    /// <summary>The one value.</summary>
    public static None Value { get; } = new();
}
