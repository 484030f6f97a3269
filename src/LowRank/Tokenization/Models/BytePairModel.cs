using System.Collections.Concurrent;
using System.Text;
using LowRank.Tokenization.PreTokenizers;

namespace LowRank.Tokenization.Models;

/// <summary>Byte pair encoding (arXiv 1508.07909): characters merged pair by pair, the merge learned first going first.</summary>
/// <remarks>Safe for several threads at once. Pieces that were met before come from a bounded cache.</remarks>
internal sealed class BytePairModel : ITokenModel
{
    private const int CachedPieces = 1 << 16;
    private const int CachedLength = 64;
    private const char Metaspace = '▁';
    private readonly Dictionary<string, int> vocabulary;
    private readonly MergeTable merges;
    private readonly BytePairSettings settings;
    private readonly int? unknown;
    private readonly int?[] fallback;
    private readonly bool splitsAtMetaspace;
    private readonly Dictionary<int, int> lengths = [];
    private readonly ConcurrentDictionary<string, int[]> textCache = new();
    private readonly ConcurrentDictionary<string, int[]> byteCache = new();
    private readonly ConcurrentDictionary<string, int[]>.AlternateLookup<ReadOnlySpan<char>> textLookup;
    private readonly ConcurrentDictionary<string, int[]>.AlternateLookup<ReadOnlySpan<char>> byteLookup;

    public BytePairModel(Dictionary<string, int> vocabulary, IReadOnlyList<(string Left, string Right)> pairs, BytePairSettings settings, string place)
    {
        this.vocabulary = vocabulary;
        this.settings = settings;
        foreach ((string text, int id) in vocabulary) lengths[id] = text.Length;
        merges = new MergeTable(vocabulary, pairs, settings.SubwordPrefix, place);
        if (settings.UnknownToken is { } token)
            unknown = vocabulary.TryGetValue(token, out int id) ? id : throw new InputException($"{place}: unk_token \"{token}\" is not in the vocabulary.");
        fallback = [.. Enumerable.Range(0, 256).Select(b => settings.FallsBackToBytes && vocabulary.TryGetValue($"<0x{b:X2}>", out int id) ? id : (int?)null)];
        // No token has ▁ behind another character, so nothing is ever merged across the beginning of a word.
        splitsAtMetaspace = vocabulary.ContainsKey(Metaspace.ToString()) && settings is { SubwordPrefix: "", WordSuffix: "", IgnoresMerges: false }
            && !vocabulary.Keys.Any(HasInnerMetaspace);
        textLookup = textCache.GetAlternateLookup<ReadOnlySpan<char>>();
        byteLookup = byteCache.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    public IReadOnlyDictionary<string, int> Vocabulary => vocabulary;

    public void Encode(Piece piece, List<int> ids)
    {
        ReadOnlySpan<char> text = piece.Span;
        if (piece.AsBytes || !splitsAtMetaspace)
        {
            EncodePart(text, piece.AsBytes, ids);
            return;
        }
        int start = 0;
        for (int i = 1; i <= text.Length; i++)
        {
            if (i < text.Length && (text[i] != Metaspace || text[i - 1] == Metaspace)) continue;
            EncodePart(text[start..i], asBytes: false, ids);
            start = i;
        }
    }

    public void EncodeSpans(Piece piece, List<int> ids, List<(int First, int Last)> spans)
    {
        string part = piece.AsBytes ? ByteAlphabet.Write(piece.Span) : piece.Span.ToString();
        int[] units = piece.AsBytes ? ByteUnits(piece) : [.. Enumerable.Range(piece.Start, piece.Length)]; // of the part's characters
        if (settings.IgnoresMerges && vocabulary.TryGetValue(part, out int whole))
        {
            ids.Add(whole);
            spans.Add((units[0], units[^1]));
            return;
        }
        var sources = new List<(int Start, int Length, int Written)>();
        List<int> symbols = Symbols(part, sources);
        int[] first = [.. symbols], made = merges.Apply(symbols);
        int symbol = 0;
        foreach (int id in made)
        {
            int begin = symbol;
            // A token's text is that of the symbols it was merged from.
            for (int written = 0, length = first[symbol] == id ? 0 : lengths[id]; symbol == begin || written < length; symbol++)
                written += sources[symbol].Written - (symbol == begin ? 0 : settings.SubwordPrefix.Length);
            ids.Add(id);
            (int start, int taken, _) = sources[symbol - 1];
            spans.Add((units[sources[begin].Start], units[start + taken - 1]));
        }
    }

    private static int[] ByteUnits(Piece piece)
    {
        var units = new List<int>();
        int at = piece.Start;
        foreach (Rune rune in piece.Span.EnumerateRunes())
        {
            for (int i = 0; i < rune.Utf8SequenceLength; i++) units.Add(at);
            at += rune.Utf16SequenceLength;
        }
        return [.. units];
    }

    private void EncodePart(ReadOnlySpan<char> text, bool asBytes, List<int> ids)
    {
        var lookup = asBytes ? byteLookup : textLookup;
        if (text.Length <= CachedLength && lookup.TryGetValue(text, out int[]? known))
        {
            ids.AddRange(known);
            return;
        }
        string part = asBytes ? ByteAlphabet.Write(text) : text.ToString();
        int[] made = settings.IgnoresMerges && vocabulary.TryGetValue(part, out int whole) ? [whole] : Merged(part);
        ids.AddRange(made);
        ConcurrentDictionary<string, int[]> cache = asBytes ? byteCache : textCache;
        if (text.Length <= CachedLength && cache.Count < CachedPieces) cache.TryAdd(text.ToString(), made);
    }

    private int[] Merged(string part)
    {
        List<int> symbols = Symbols(part);
        return merges.Apply(symbols);
    }

    // The characters as tokens, before any merge.
    private List<int> Symbols(string part, List<(int Start, int Length, int Written)>? sources = null)
    {
        var symbols = new List<int>(part.Length);
        bool lastUnknown = false;
        for (int i = 0; i < part.Length;)
        {
            Rune.DecodeFromUtf16(part.AsSpan(i), out _, out int length);
            string character = part.Substring(i, length);
            string token = (i > 0 ? settings.SubwordPrefix : "") + character + (i + length == part.Length ? settings.WordSuffix : "");
            if (vocabulary.TryGetValue(token, out int id))
            {
                symbols.Add(id);
                sources?.Add((i, length, token.Length));
                lastUnknown = false;
            }
            else if (settings.FallsBackToBytes && Encoding.UTF8.GetBytes(character) is var bytes && Array.TrueForAll(bytes, b => fallback[b] is not null))
            {
                symbols.AddRange(bytes.Select(b => fallback[b]!.Value));
                foreach (byte b in bytes) sources?.Add((i, length, "<0x00>".Length));
                lastUnknown = false;
            }
            else if (unknown is { } stand)
            {
                if (!(lastUnknown && settings.FusesUnknown))
                {
                    symbols.Add(stand);
                    sources?.Add((i, length, lengths[stand]));
                }
                else if (sources is not null)
                {
                    sources[^1] = sources[^1] with { Length = i + length - sources[^1].Start };
                }
                lastUnknown = true;
            }
            i += length;
        }
        return symbols;
    }

    private static bool HasInnerMetaspace(string token)
    {
        for (int i = 1; i < token.Length; i++)
            if (token[i] == Metaspace && token[i - 1] != Metaspace) return true;
        return false;
    }
}
