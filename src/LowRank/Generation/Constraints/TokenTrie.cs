namespace LowRank.Generation;

/// <summary>The tokens of a vocabulary as a tree over their bytes, in depth-first order.</summary>
internal sealed class TokenTrie
{
    /// <summary>Builds the tree.</summary>
    /// <param name="tokens">The tokens and their bytes, at least one each.</param>
    public TokenTrie(IEnumerable<(int Token, ReadOnlyMemory<byte> Bytes)> tokens)
    {
        (int Token, ReadOnlyMemory<byte> Bytes)[] sorted = [.. tokens];
        Array.Sort(sorted, (one, two) => one.Bytes.Span.SequenceCompareTo(two.Bytes.Span));
        Tokens = [.. sorted.Select(entry => entry.Token)];
        List<byte> values = [];
        List<int> depths = [], ends = []; // of tokens
        ReadOnlyMemory<byte> before = default;
        for (int i = 0; i < sorted.Length; i++)
        {
            ReadOnlySpan<byte> bytes = sorted[i].Bytes.Span;
            for (int depth = before.Span.CommonPrefixLength(bytes); depth < bytes.Length; depth++)
            {
                values.Add(bytes[depth]);
                depths.Add(depth);
                ends.Add(i);
            }
            // The node that was made last is the token's: of those that begin alike, the shorter comes first.
            ends[^1] = i + 1;
            Deepest = Math.Max(Deepest, bytes.Length);
            before = sorted[i].Bytes;
        }
        (Values, Depths, TokenEnds) = ([.. values], [.. depths], [.. ends]);
        Ends = FindEnds();
    }

    /// <summary>The token ids, sorted by bytes.</summary>
    public int[] Tokens { get; }

    /// <summary>The byte of each node.</summary>
    public byte[] Values { get; }

    /// <summary>The depth of each node, from 0.</summary>
    public int[] Depths { get; }

    /// <summary>The index after the last node below each node.</summary>
    public int[] Ends { get; }

    /// <summary>Where each node's own tokens end in <see cref="Tokens"/>; they begin where those of the node before it
    /// end.</summary>
    public int[] TokenEnds { get; }

    /// <summary>The number of bytes of the longest token.</summary>
    public int Deepest { get; }

    private int[] FindEnds()
    {
        var ends = new int[Values.Length];
        Stack<int> open = [];
        for (int node = 0; node <= Values.Length; node++)
        {
            while (open.TryPeek(out int last) && (node == Values.Length || Depths[last] >= Depths[node]))
                ends[open.Pop()] = node;
            if (node < Values.Length) open.Push(node);
        }
        return ends;
    }
}
