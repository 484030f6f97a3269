using System.Runtime.InteropServices;

namespace LowRank.Data.Packing;

/// <summary>Whether common beginnings of rows are computed once.</summary>
public enum PromptSharing
{
    /// <summary>Every row computes all its tokens.</summary>
    Off,

    /// <summary>Rows in the same step share common beginnings; the rows of a step do not change.</summary>
    InStep,

    /// <summary>Rows with the same prompt also follow each other so they meet in a step: an epoch shuffles the prompts
    /// instead of the rows.</summary>
    Grouped,
}

/// <summary>Builds a tree of the common beginnings of texts.</summary>
internal static class PrefixTree
{
    /// <summary>Minimum number of tokens for a separate attention call; fewer cost more than they save.</summary>
    public const int LeastShared = 8;

    /// <summary>Builds the tree of some texts.</summary>
    /// <param name="texts">Texts with at least one token each.</param>
    /// <param name="shares">False gives every text its own branch.</param>
    /// <returns>The root, which has no tokens.</returns>
    public static PrefixNode Of(IReadOnlyList<ReadOnlyMemory<int>> texts, bool shares)
    {
        var root = new PrefixNode(0, 0, 0);
        int[] all = [.. Enumerable.Range(0, texts.Count)];
        if (shares) Grow(texts, root, all, 0);
        else foreach (int text in all) Add(root, text, 0, texts[text].Length, [text]);
        return root;
    }

    // All texts are equal up to `from`, where `parent` ends.
    private static void Grow(
        IReadOnlyList<ReadOnlyMemory<int>> texts, PrefixNode parent, IReadOnlyList<int> chosen, int from)
    {
        if (chosen.Count == 0) return;
        int common = Common(texts, chosen);
        int[] ending = [.. chosen.Where(text => texts[text].Length == common)];
        int[] going = [.. chosen.Where(text => texts[text].Length > common)];
        bool shared = chosen.Count > 1 && common - from >= LeastShared;
        if (shared || ending.Length > 0)
        {
            PrefixNode node = Add(parent, chosen[0], from, common, ending);
            if (shared) (parent, from) = (node, common);
        }
        foreach (IGrouping<int, int> branch in going.GroupBy(text => texts[text].Span[common]))
            Grow(texts, parent, [.. branch], from);
    }

    private static PrefixNode Add(PrefixNode parent, int text, int from, int to, IReadOnlyList<int> ending)
    {
        var node = new PrefixNode(text, from, to);
        node.Ending.AddRange(ending);
        parent.Children.Add(node);
        return node;
    }

    private static int Common(IReadOnlyList<ReadOnlyMemory<int>> texts, IReadOnlyList<int> chosen)
    {
        ReadOnlySpan<int> first = texts[chosen[0]].Span;
        int common = first.Length;
        foreach (int text in chosen.Skip(1)) common = first[..common].CommonPrefixLength(texts[text].Span);
        return common;
    }
}

/// <summary>Tokens that several texts have in common, or that only one of them has.</summary>
/// <param name="text">The number of a text that contains them.</param>
/// <param name="from">Their start in that text.</param>
/// <param name="to">Their end in that text.</param>
internal sealed class PrefixNode(int text, int from, int to)
{
    public int Text => text;

    public int From => from;

    public int Length => to - from;

    /// <summary>The continuations of the texts.</summary>
    public List<PrefixNode> Children { get; } = [];

    /// <summary>The texts that end here.</summary>
    public List<int> Ending { get; } = [];

    /// <summary>Number of tokens in this node and all nodes below.</summary>
    public int Total => Length + Children.Sum(child => child.Total);
}

/// <summary>Rows are equal if they have the same prompt, the tokens before the first learned one. A row without a
/// prompt equals no other.</summary>
internal sealed class PromptComparer : IEqualityComparer<TokenizedExample>
{
    public static PromptComparer Instance { get; } = new();

    public bool Equals(TokenizedExample? x, TokenizedExample? y)
    {
        if (ReferenceEquals(x, y)) return true;
        return x is not null && y is not null && Prompt(x) is { Length: > 0 } prompt && prompt.SequenceEqual(Prompt(y));
    }

    public int GetHashCode(TokenizedExample obj)
    {
        var hash = new HashCode();
        hash.AddBytes(MemoryMarshal.AsBytes(Prompt(obj)));
        return hash.ToHashCode();
    }

    private static ReadOnlySpan<int> Prompt(TokenizedExample row) =>
        row.InputIds.AsSpan(0, Math.Max(0, Array.FindIndex(row.Labels, label => label != TokenizedExample.Ignored)));
}
