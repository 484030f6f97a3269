namespace LowRank.Data.Packing;

/// <summary>Tokens that some texts have in common, or that one of them has alone.</summary>
/// <param name="text">The number of a text that has them.</param>
/// <param name="from">Where they begin in it.</param>
/// <param name="to">Where they end in it.</param>
internal sealed class PrefixNode(int text, int from, int to)
{
    public int Text => text;

    public int From => from;

    public int Length => to - from;

    /// <summary>How texts go on.</summary>
    public List<PrefixNode> Children { get; } = [];

    /// <summary>The texts that end here.</summary>
    public List<int> Ending { get; } = [];

    /// <summary>Tokens of it and of all below.</summary>
    public int Total => Length + Children.Sum(child => child.Total);
}
