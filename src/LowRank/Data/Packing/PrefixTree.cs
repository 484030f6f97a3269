namespace LowRank.Data.Packing;

/// <summary>Texts as a tree of their common beginnings.</summary>
internal static class PrefixTree
{
    /// <summary>Fewest tokens that are worth an attention call of their own: fewer cost more than they save.</summary>
    public const int LeastShared = 8;

    /// <summary>The tree of texts.</summary>
    /// <param name="texts">At least one token each.</param>
    /// <param name="shares">False gives every text a branch of its own.</param>
    /// <returns>A root without tokens.</returns>
    public static PrefixNode Of(IReadOnlyList<ReadOnlyMemory<int>> texts, bool shares)
    {
        var root = new PrefixNode(0, 0, 0);
        int[] all = [.. Enumerable.Range(0, texts.Count)];
        if (shares) Grow(texts, root, all, 0);
        else foreach (int text in all) Add(root, text, 0, texts[text].Length, [text]);
        return root;
    }

    // All of the texts are equal up to `from`, which is where `parent` ends.
    private static void Grow(IReadOnlyList<ReadOnlyMemory<int>> texts, PrefixNode parent, IReadOnlyList<int> chosen, int from)
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
        foreach (IGrouping<int, int> branch in going.GroupBy(text => texts[text].Span[common])) Grow(texts, parent, [.. branch], from);
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
