namespace LowRank.Kernels;

/// <summary>The tokens of one pass over paged keys and values: consecutive tokens of several sequences, a part of a
/// prompt or one new token each. They are rows in this order.</summary>
internal sealed class PagedTokens
{
    /// <summary>The tokens of some sequences.</summary>
    /// <param name="sequences">At least one. Pages that a sequence writes to belong to it alone; pages that it reads
    /// were written in earlier passes.</param>
    /// <exception cref="ArgumentException">A sequence has no tokens, or too few pages.</exception>
    public PagedTokens(IReadOnlyList<PagedSequence> sequences)
    {
        if (sequences.Count == 0) throw new ArgumentException("There are no sequences.", nameof(sequences));
        foreach (PagedSequence sequence in sequences)
        {
            if (sequence.Tokens.Count == 0 || sequence.Position < 0)
                throw new ArgumentException(
                    $"A sequence has {sequence.Tokens.Count} tokens from position {sequence.Position}.",
                    nameof(sequences));
            if (sequence.Pages.Count * (long)KeyValuePages.PageLength < sequence.Length)
                throw new ArgumentException(
                    $"A sequence of {sequence.Length} tokens has {sequence.Pages.Count} pages of " +
                    $"{KeyValuePages.PageLength}.", nameof(sequences));
        }
        Sequences = sequences;
        Count = sequences.Sum(sequence => sequence.Tokens.Count);
        Longest = sequences.Max(sequence => sequence.Length);
    }

    /// <summary>The sequences, in the order of their rows.</summary>
    public IReadOnlyList<PagedSequence> Sequences { get; }

    /// <summary>Number of tokens.</summary>
    public int Count { get; }

    /// <summary>Length of the longest sequence, with its earlier tokens.</summary>
    public int Longest { get; }

    /// <summary>The ids of all tokens.</summary>
    public long[] Ids() => [.. Sequences.SelectMany(sequence => sequence.Tokens).Select(id => (long)id)];

    /// <summary>The position of each token in its sequence.</summary>
    public long[] Positions() => [.. Sequences.SelectMany(sequence =>
        Enumerable.Range(sequence.Position, sequence.Tokens.Count)).Select(position => (long)position)];
}

/// <summary>The tokens of a sequence that one pass computes.</summary>
/// <param name="Tokens">Their ids, at least one.</param>
/// <param name="Position">The position of the first of them: the number of earlier tokens, whose keys and values are in
/// the pages.</param>
/// <param name="Pages">The numbers of the sequence's pages in order, with room for the new tokens.</param>
internal sealed record PagedSequence(IReadOnlyList<int> Tokens, int Position, IReadOnlyList<int> Pages)
{
    /// <summary>Number of tokens after the pass.</summary>
    public int Length => Position + Tokens.Count;
}
