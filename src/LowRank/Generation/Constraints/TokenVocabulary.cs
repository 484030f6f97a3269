using LowRank.Tokenizers;

namespace LowRank.Generation;

/// <summary>What each token of a model writes, for constraints. Made once per model; thread-safe.</summary>
public sealed class TokenVocabulary
{
    private const int MostKept = 32;

    private readonly IReadOnlyList<ReadOnlyMemory<byte>> bytes, startBytes;
    private readonly bool[] writable = new bool[256];
    private readonly HashSet<int> marks;
    private readonly LinkedList<(string Identity, Lazy<TokenConstraint> Made)> kept = []; // the last used first
    private readonly Lock gate = new();

    private TokenVocabulary(
        IReadOnlyList<ReadOnlyMemory<byte>> bytes, IReadOnlyList<ReadOnlyMemory<byte>> startBytes, int size,
        IEnumerable<int> endTokens, IReadOnlyDictionary<string, int> markTexts)
    {
        (this.bytes, this.startBytes, Size, MarkTexts) = (bytes, startBytes, size, markTexts);
        EndTokens = [.. endTokens.Where(id => id >= 0 && id < size).Distinct().Order()];
        marks = [.. markTexts.Values];
        (int, ReadOnlyMemory<byte>)[] all =
            [.. Ordinary.Select(id => (id, bytes[id])).Where(token => !token.Item2.IsEmpty)];
        (Trie, Plain) = (new TokenTrie(all), new PlainTokens(all, MaskLength));
        foreach (int id in Ordinary) if (bytes[id].Length == 1) writable[bytes[id].Span[0]] = true;
        HasStartForms = Ordinary.Any(id => !bytes[id].Span.SequenceEqual(startBytes[id].Span));
    }

    /// <summary>The number of tokens that the model gives logits for.</summary>
    public int Size { get; }

    /// <summary>The tokens that end a text.</summary>
    public IReadOnlyList<int> EndTokens { get; }

    /// <summary>Special tokens by their text.</summary>
    internal IReadOnlyDictionary<string, int> MarkTexts { get; }

    /// <summary>The tokens of ordinary text.</summary>
    internal TokenTrie Trie { get; }

    /// <summary>Those of plain characters.</summary>
    internal PlainTokens Plain { get; }

    /// <summary>Whether some tokens write something else at the beginning of a text.</summary>
    internal bool HasStartForms { get; }

    /// <summary>The length of a mask: a bit per token, in 32 bits each.</summary>
    internal int MaskLength => (Size + 31) / 32;

    // Tokens whose text may stand anywhere.
    private IEnumerable<int> Ordinary =>
        Enumerable.Range(0, Math.Min(Size, bytes.Count)).Where(id => !marks.Contains(id) && !EndTokens.Contains(id));

    /// <summary>The vocabulary of a tokenizer.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="size">The number of tokens that the model gives logits for; null for those of the tokenizer. Ids
    /// that the tokenizer does not have are never allowed.</param>
    /// <param name="endTokens">The tokens that end a text; null for the tokenizer's own. They are allowed where a text
    /// may end.</param>
    /// <exception cref="InputException">What a token writes depends on the tokens around it.</exception>
    public static TokenVocabulary Of(Tokenizer tokenizer, int? size = null, IEnumerable<int>? endTokens = null)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        int count = size ?? tokenizer.VocabularySize;
        var marks = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (int id in Enumerable.Range(0, Math.Min(count, tokenizer.VocabularySize)))
            if (tokenizer.IdToToken(id) is { Length: > 0 } text
                && (tokenizer.IsSpecial(id) || (tokenizer.IsAdded(id) && IsMark(text))))
                marks[text] = id;
        return new TokenVocabulary(tokenizer.TokenBytes(), tokenizer.TokenBytes(atStart: true), count,
            endTokens ?? (tokenizer.EosTokenId is { } end ? [end] : []), marks);
    }

    /// <summary>A vocabulary of tokens whose bytes are the same everywhere.</summary>
    internal static TokenVocabulary Of(
        IReadOnlyList<ReadOnlyMemory<byte>> bytes, IEnumerable<int> endTokens, int? size = null,
        IReadOnlyDictionary<string, int>? marks = null) =>
        new(bytes, bytes, size ?? bytes.Count, endTokens, marks ?? new Dictionary<string, int>());

    /// <summary>Whether a token alone writes a byte.</summary>
    internal bool CanWrite(byte value) => writable[value];

    /// <summary>Whether a token is special: allowed only where a constraint has its text.</summary>
    internal bool IsMark(int token) => marks.Contains(token);

    /// <summary>The bytes that a token writes; none for tokens that are never part of a text.</summary>
    internal ReadOnlySpan<byte> BytesOf(int token, bool atStart) =>
        token < 0 || token >= Math.Min(Size, bytes.Count) || marks.Contains(token) || EndTokens.Contains(token)
            ? default : (atStart ? startBytes : bytes)[token].Span;

    /// <summary>A constraint for these tokens, from those that are kept if it is among them. It is made once; who asks
    /// for another one does not wait.</summary>
    internal TokenConstraint Compiled(TextConstraint constraint)
    {
        (string Identity, Lazy<TokenConstraint> Made) one;
        lock (gate)
        {
            one = kept.FirstOrDefault(each => each.Identity == constraint.Identity);
            if (one.Made is null)
                one = (constraint.Identity, new Lazy<TokenConstraint>(() => new TokenConstraint(constraint, this)));
            else kept.Remove(one);
            kept.AddFirst(one);
            if (kept.Count > MostKept) kept.RemoveLast();
        }
        try
        {
            return one.Made.Value;
        }
        catch
        {
            lock (gate) kept.Remove(one);
            throw;
        }
    }

    // Tokens that programs add mark things, as in <tool_call>, or are words.
    private static bool IsMark(string text) => (text[0], text[^1]) is ('<', '>') or ('[', ']');
}
