using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Tokenizers.PreTokenizers;

namespace LowRank.Tokenizers.Models;

/// <summary>Byte pair encoding (arXiv 1508.07909): merges characters pair by pair, with the earliest learned merge
/// first.</summary>
/// <remarks>Thread-safe. Previously encoded pieces come from a bounded cache.</remarks>
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

    public BytePairModel(Dictionary<string, int> vocabulary, IReadOnlyList<(string Left, string Right)> pairs,
        BytePairSettings settings, string place)
    {
        this.vocabulary = vocabulary;
        this.settings = settings;
        foreach ((string text, int id) in vocabulary) lengths[id] = text.Length;
        merges = new MergeTable(vocabulary, pairs, settings.SubwordPrefix, place);
        if (settings.UnknownToken is { } token)
            unknown = vocabulary.TryGetValue(token, out int id) ? id
                : throw new InputException($"{place}: unk_token \"{token}\" is not in the vocabulary.");
        fallback = [.. Enumerable.Range(0, 256)
            .Select(b => settings.FallsBackToBytes && vocabulary.TryGetValue($"<0x{b:X2}>", out int id) ? id
            : (int?)null)];
        // No token has ▁ after another character, so no merge crosses the start of a word.
        splitsAtMetaspace = vocabulary.ContainsKey(Metaspace.ToString())
            && settings is { SubwordPrefix: "", WordSuffix: "", IgnoresMerges: false }
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
        // of the part's characters
        int[] units = piece.AsBytes ? ByteUnits(piece) : [.. Enumerable.Range(piece.Start, piece.Length)];
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
            // A token's text is the concatenation of the symbols that it was merged from.
            for (int written = 0, length = first[symbol] == id ? 0 : lengths[id]; symbol == begin
                || written < length; symbol++)
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
            string token = (i > 0 ? settings.SubwordPrefix : "") + character
                + (i + length == part.Length ? settings.WordSuffix : "");
            if (vocabulary.TryGetValue(token, out int id))
            {
                symbols.Add(id);
                sources?.Add((i, length, token.Length));
                lastUnknown = false;
            }
            else if (settings.FallsBackToBytes && Encoding.UTF8.GetBytes(character) is var bytes
                && Array.TrueForAll(bytes, b => fallback[b] is not null))
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

/// <summary>The settings of a BPE model.</summary>
internal sealed record BytePairSettings
{
    /// <summary>The token for characters outside the vocabulary; null drops them.</summary>
    public string? UnknownToken { get; init; }

    /// <summary>Whether neighbouring unknown characters become a single token.</summary>
    public bool FusesUnknown { get; init; }

    /// <summary>Whether unknown characters become the tokens &lt;0x00&gt; to &lt;0xFF&gt; of their bytes.</summary>
    public bool FallsBackToBytes { get; init; }

    /// <summary>Whether a piece that is a token is used whole, regardless of the merges.</summary>
    public bool IgnoresMerges { get; init; }

    /// <summary>The prefix of every part of a word except the first.</summary>
    public string SubwordPrefix { get; init; } = "";

    /// <summary>The suffix of the last part of a word.</summary>
    public string WordSuffix { get; init; } = "";
}

/// <summary>Reads a BPE model: from tokenizer.json, or from vocab.json and merges.txt.</summary>
internal static class BytePairReader
{
    public static BytePairModel Read(ComponentJson json)
    {
        if (json.Json["dropout"] is JsonValue dropout && dropout.TryGetValue(out double share) && share > 0)
            throw json.Unsupported("dropout", "null or 0: training with random merges is not supported");
        Dictionary<string, int> vocabulary = VocabularyReader.Read(json);
        if (json.Json["merges"] is not JsonArray merges) throw json.Unsupported("merges", "a list of pairs");
        var settings = new BytePairSettings
        {
            UnknownToken = json.TextOr("unk_token", null),
            FusesUnknown = json.Flag("fuse_unk", false),
            FallsBackToBytes = json.Flag("byte_fallback", false),
            IgnoresMerges = json.Flag("ignore_merges", false),
            SubwordPrefix = json.TextOr("continuing_subword_prefix", null) ?? "",
            WordSuffix = json.TextOr("end_of_word_suffix", null) ?? "",
        };
        return new BytePairModel(
            vocabulary, [.. merges.Select((merge, i) => Pair(merge, $"{json.Place}.merges[{i}]"))],
            settings, json.Place);
    }

    /// <summary>Reads GPT-2's two files.</summary>
    public static BytePairModel Read(string vocabularyFile, string mergesFile)
    {
        JsonObject vocabulary = JsonObjects.Read(vocabularyFile, SmallFile.MostOfVocabulary);
        var merges = new List<(string, string)>();
        int number = 0;
        foreach (string line in SmallFile.ReadLines(mergesFile, SmallFile.MostOfVocabulary))
        {
            number++;
            if (line.Length == 0 || (number == 1 && line.StartsWith("#version", StringComparison.Ordinal))) continue;
            merges.Add(Pair(line, $"{mergesFile}, line {number}"));
        }
        return new BytePairModel(
            VocabularyReader.Read(vocabulary, vocabularyFile), merges, new BytePairSettings(), mergesFile);
    }

    private static (string, string) Pair(JsonNode? merge, string place)
    {
        if (merge is JsonArray { Count: 2 } both && both[0] is JsonValue left && both[1] is JsonValue right
            && left.TryGetValue(out string? a) && right.TryGetValue(out string? b)) return (a, b);
        return merge is JsonValue text && text.TryGetValue(out string? line) ? Pair(line, place)
            : throw new InputException($"{place} is {merge?.ToJsonString() ?? "null"}, expected two tokens.");
    }

    private static (string, string) Pair(string line, string place)
    {
        string[] parts = line.Split(' ');
        return parts.Length == 2 ? (parts[0], parts[1])
            : throw new InputException($"{place} is \"{line}\", expected two tokens with a blank between them.");
    }
}

/// <summary>The merges of a BPE model, by pairs of token ids.</summary>
internal sealed class MergeTable
{
    private const int ShortPiece = 24; // up to here scanning all pairs anew beats a queue
    private readonly Dictionary<(int Left, int Right), (int Rank, int Id)> merges;

    public MergeTable(Dictionary<string, int> vocabulary, IReadOnlyList<(string Left, string Right)> pairs,
        string subwordPrefix, string place)
    {
        merges = new(pairs.Count);
        for (int rank = 0; rank < pairs.Count; rank++)
        {
            (string left, string right) = pairs[rank];
            string merged = left
                + (right.StartsWith(subwordPrefix, StringComparison.Ordinal) ? right[subwordPrefix.Length..] : right);
            foreach (string token in new[] { left, right, merged })
                if (!vocabulary.ContainsKey(token))
                    throw new InputException(
                        $"{place}: merge {rank} (\"{left}\" \"{right}\") needs the token \"{token}\", which is not " +
                        "in the vocabulary. Vocabulary and merges do not belong together.");
            // A repeated pair keeps its last position, as in the reference's map.
            merges[(vocabulary[left], vocabulary[right])] = (rank, vocabulary[merged]);
        }
    }

    /// <summary>Merges until no merge is possible: always the pair with the lowest rank, and the leftmost among equal
    /// ones.</summary>
    public int[] Apply(List<int> symbols)
    {
        if (symbols.Count < 2) return [.. symbols];
        return symbols.Count <= ShortPiece ? Scan(symbols) : Queue(symbols);
    }

    private int[] Scan(List<int> symbols)
    {
        while (symbols.Count > 1)
        {
            int best = -1, rank = int.MaxValue, id = 0;
            Span<int> at = CollectionsMarshal.AsSpan(symbols);
            for (int i = 0; i + 1 < at.Length; i++)
                if (merges.TryGetValue((at[i], at[i + 1]), out (int Rank, int Id) merge) && merge.Rank < rank)
                    (best, rank, id) = (i, merge.Rank, merge.Id);
            if (best < 0) break;
            symbols[best] = id;
            symbols.RemoveAt(best + 1);
        }
        return [.. symbols];
    }

    // A linked list of symbols and a queue of candidate merges: time n · log n, so unsplit text of any length takes
    // nearly linear time.
    private int[] Queue(List<int> symbols)
    {
        int count = symbols.Count;
        int[] id = [.. symbols], next = new int[count], previous = new int[count];
        var queue = new PriorityQueue<(int Left, int Right, int LeftId, int RightId, int Id), long>(count);
        for (int i = 0; i < count; i++) (next[i], previous[i]) = (i + 1 < count ? i + 1 : -1, i - 1);
        void Offer(int left)
        {
            int right = left < 0 ? -1 : next[left];
            if (right >= 0 && merges.TryGetValue((id[left], id[right]), out (int Rank, int Id) merge))
                queue.Enqueue((left, right, id[left], id[right], merge.Id), ((long)merge.Rank << 32) | (uint)left);
        }
        for (int i = 0; i < count; i++) Offer(i);
        while (queue.TryDequeue(out var merge, out _))
        {
            // Either side may have been merged since; the candidate is then invalid.
            if (id[merge.Left] != merge.LeftId || next[merge.Left] != merge.Right || id[merge.Right] != merge.RightId)
                continue;
            id[merge.Left] = merge.Id;
            id[merge.Right] = -1;
            next[merge.Left] = next[merge.Right];
            if (next[merge.Left] >= 0) previous[next[merge.Left]] = merge.Left;
            Offer(previous[merge.Left]);
            Offer(merge.Left);
        }
        var result = new List<int>(count);
        for (int i = 0; i >= 0; i = next[i]) result.Add(id[i]);
        return [.. result];
    }
}
