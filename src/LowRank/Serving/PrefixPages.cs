using LowRank.Kernels;

namespace LowRank.Serving;

/// <summary>Pages of keys and values that texts share: a tree of the beginnings that were computed, a page of tokens
/// per node, below a root for each content of adapters. What nobody uses is kept until its memory is needed, the
/// longest unused first (RadixAttention, arXiv 2312.07104, section 3).</summary>
/// <param name="pages">The pages; those in the tree belong to it.</param>
internal sealed class PrefixPages(KeyValuePages pages)
{
    private readonly Dictionary<string, PrefixPage> roots = [];
    private readonly LinkedList<PrefixPage> idle = []; // leaves that nobody uses, the longest unused first

    /// <summary>Pages that nobody uses.</summary>
    public int Idle { get; private set; }

    /// <summary>Contents of adapters that beginnings are known for.</summary>
    public int Contents => roots.Count;

    /// <summary>The node above all beginnings of texts with these adapters, made if there is none.</summary>
    /// <param name="content">What the adapters are: the digests of their files and their factors.</param>
    public PrefixPage Root(string content)
    {
        if (!roots.TryGetValue(content, out PrefixPage? root))
            roots[content] = root = new PrefixPage(null, [], -1) { Content = content };
        return root;
    }

    /// <summary>The pages of the longest known beginning of a text, now in use by it.</summary>
    /// <param name="content">As for <see cref="Root"/>.</param>
    /// <param name="tokens">The text.</param>
    /// <param name="most">Most tokens of the beginning.</param>
    public List<PrefixPage> Find(string content, IReadOnlyList<int> tokens, int most)
    {
        List<PrefixPage> found = [];
        foreach (PrefixPage page in Known(content, tokens, most))
        {
            Use(page);
            found.Add(page);
        }
        return found;
    }

    /// <summary>How many of these pages other texts use: they take no memory that is not taken already.</summary>
    /// <inheritdoc cref="Find"/>
    public int CountUsed(string content, IReadOnlyList<int> tokens, int most) =>
        Known(content, tokens, most).TakeWhile(page => page.Users > 0).Count();

    private IEnumerable<PrefixPage> Known(string content, IReadOnlyList<int> tokens, int most)
    {
        if (!roots.TryGetValue(content, out PrefixPage? node)) yield break;
        for (int at = 0; at + KeyValuePages.PageLength <= most; at += KeyValuePages.PageLength)
        {
            var key = new PageTokens([.. tokens.Skip(at).Take(KeyValuePages.PageLength)]);
            if (!node.Next.TryGetValue(key, out node)) yield break;
            yield return node;
        }
    }

    /// <summary>Gives a page to the tree, which goes on being used by its text. Where the tree has these tokens, the
    /// page is given back and the text uses the tree's.</summary>
    /// <param name="before">The node of the tokens before, a root or in use.</param>
    /// <param name="tokens">The page's tokens.</param>
    /// <param name="page">The page, filled.</param>
    public PrefixPage Add(PrefixPage before, int[] tokens, int page)
    {
        var key = new PageTokens(tokens);
        if (before.Next.TryGetValue(key, out PrefixPage? known))
        {
            Use(known);
            pages.Return(page);
            return known;
        }
        var added = new PrefixPage(before, tokens, page) { Users = 1 };
        before.Next.Add(key, added);
        return added;
    }

    /// <summary>Ends a text's use of a page.</summary>
    public void Release(PrefixPage page)
    {
        if (--page.Users > 0) return;
        Idle++;
        if (page.Next.Count == 0) page.Place = idle.AddLast(page);
    }

    /// <summary>Gives up the page that was unused for longest.</summary>
    /// <returns>False if all are in use.</returns>
    public bool Evict()
    {
        if (idle.First?.Value is not { } oldest) return false;
        Remove(oldest);
        return true;
    }

    /// <summary>Gives up all pages that nobody uses.</summary>
    public void Clear()
    {
        while (Evict()) { }
    }

    private void Use(PrefixPage page)
    {
        if (page.Users++ > 0) return;
        Idle--;
        if (page.Place is not { } place) return;
        idle.Remove(place);
        page.Place = null;
    }

    private void Remove(PrefixPage leaf)
    {
        idle.Remove(leaf.Place!);
        leaf.Place = null;
        Idle--;
        pages.Return(leaf.Page);
        PrefixPage before = leaf.Before!;
        before.Next.Remove(new PageTokens(leaf.Tokens));
        if (before.Next.Count > 0) return;
        if (before.Before is null) roots.Remove(before.Content!);
        else if (before.Users == 0) before.Place = idle.AddFirst(before); // as old as what came after it
    }
}

/// <summary>A page of a beginning that texts share.</summary>
/// <param name="before">The page before; null for a root, which has no page.</param>
/// <param name="tokens">Its tokens.</param>
/// <param name="page">The page's number.</param>
internal sealed class PrefixPage(PrefixPage? before, int[] tokens, int page)
{
    public PrefixPage? Before => before;

    public int[] Tokens => tokens;

    public int Page => page;

    public Dictionary<PageTokens, PrefixPage> Next { get; } = [];

    /// <summary>Texts that use it now.</summary>
    public int Users { get; set; }

    /// <summary>Of a root: what the adapters are.</summary>
    public string? Content { get; init; }

    /// <summary>Where it stands among those that nobody uses and nothing follows; null elsewhere.</summary>
    public LinkedListNode<PrefixPage>? Place { get; set; }
}

/// <summary>The tokens of a page, compared by value.</summary>
internal readonly struct PageTokens(int[] tokens) : IEquatable<PageTokens>
{
    private readonly int[] tokens = tokens;

    public bool Equals(PageTokens other) => tokens.AsSpan().SequenceEqual(other.tokens);

    public override bool Equals(object? obj) => obj is PageTokens other && Equals(other);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (int token in tokens) hash.Add(token);
        return hash.ToHashCode();
    }
}
