using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Tokenizers.PreTokenizers;

namespace LowRank.Tokenizers;

/// <summary>Trains a byte-level BPE vocabulary (Sennrich et al., arXiv 1508.07909; bytes as in GPT-2) and writes it as
/// a <c>tokenizer.json</c> for the tokenizers library.</summary>
/// <remarks>Text is split with Qwen2's pattern: words with their leading space, single digits, punctuation. The most
/// frequent pair is merged first, and among equally frequent pairs the one with the lowest token ids, so that the
/// result depends only on the counts.</remarks>
public static class BytePairTrainer
{
    /// <summary>Trains and returns the content of a tokenizer.json.</summary>
    /// <param name="texts">The text to learn from.</param>
    /// <param name="vocabularySize">Total number of tokens: special tokens, 256 bytes, merges.</param>
    /// <param name="specialTokens">Tokens that text never produces; they get the first ids.</param>
    /// <exception cref="InputException">The vocabulary is too small for the bytes and special tokens.</exception>
    public static string Train(IEnumerable<string> texts, int vocabularySize, IReadOnlyList<string> specialTokens)
    {
        if (vocabularySize < 256 + specialTokens.Count)
            throw new InputException(
                $"The vocabulary size is {vocabularySize}; expected at least {256 + specialTokens.Count}: 256 " +
                $"bytes and {specialTokens.Count} special tokens.");
        List<string> tokens =
            [.. specialTokens, .. Enumerable.Range(0, 256).Select(b => ByteAlphabet.Character(b).ToString())
            .Order(StringComparer.Ordinal)];
        Dictionary<string, int> ids = tokens.Select((token, id) => (token, id)).ToDictionary(t => t.token, t => t.id);
        (List<int[]> words, List<long> counts) = Count(texts, ids);
        var merges = new List<(string Left, string Right)>();
        var pairs = new PairCounts(words, counts);
        while (tokens.Count < vocabularySize && pairs.MostFrequent() is { } pair)
        {
            string merged = tokens[pair.Left] + tokens[pair.Right];
            int id = tokens.Count;
            tokens.Add(merged);
            merges.Add((tokens[pair.Left], tokens[pair.Right]));
            pairs.Merge(pair, id);
        }
        return ToJson(tokens, merges, specialTokens);
    }

    private static (List<int[]> Words, List<long> Counts) Count(IEnumerable<string> texts, Dictionary<string, int> ids)
    {
        var counted = new Dictionary<string, long>();
        foreach (string text in texts)
            foreach ((int start, int length, bool _) in SplitPatterns.Qwen2.Find(text))
            {
                string piece = text.Substring(start, length);
                counted[piece] = counted.GetValueOrDefault(piece) + 1;
            }
        var words = new List<int[]>(counted.Count);
        var counts = new List<long>(counted.Count);
        foreach ((string word, long count) in counted.OrderBy(entry => entry.Key, StringComparer.Ordinal))
        {
            words.Add([.. Encoding.UTF8.GetBytes(word).Select(b => ids[ByteAlphabet.Character(b).ToString()])]);
            counts.Add(count);
        }
        return (words, counts);
    }

    private static string ToJson(
        List<string> tokens, List<(string Left, string Right)> merges, IReadOnlyList<string> specialTokens)
    {
        var vocabulary = new JsonObject();
        for (int id = specialTokens.Count; id < tokens.Count; id++) vocabulary[tokens[id]] = id;
        for (int id = 0; id < specialTokens.Count; id++) vocabulary[specialTokens[id]] = id;
        var byteLevel =
            new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = false,
            ["use_regex"] = false };
        var root = new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray([.. specialTokens.Select((token, id) => new JsonObject
            {
                ["id"] = id, ["content"] = token, ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false,
                    ["normalized"] = false, ["special"] = true,
            })]),
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject { ["type"] = "Split",
                        ["pattern"] = new JsonObject { ["Regex"] = SplitPatterns.Qwen2Text }, ["behavior"] = "Isolated",
                        ["invert"] = false },
                    byteLevel.DeepClone()),
            },
            ["post_processor"] = byteLevel.DeepClone(),
            ["decoder"] = byteLevel.DeepClone(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE", ["dropout"] = null, ["unk_token"] = null, ["continuing_subword_prefix"] = null,
                    ["end_of_word_suffix"] = null,
                ["fuse_unk"] = false, ["byte_fallback"] = false, ["ignore_merges"] = false,
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. merges.Select(merge => new JsonArray(merge.Left, merge.Right))]),
            },
        };
        return root.ToJsonString(
            new JsonSerializerOptions { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
    }
}

/// <summary>The frequency of each pair of neighbouring tokens in the words, updated while pairs are merged.</summary>
internal sealed class PairCounts
{
    private readonly List<int[]> words;
    private readonly List<long> counts;
    private readonly Dictionary<(int Left, int Right), long> totals = [];
    private readonly Dictionary<(int Left, int Right), HashSet<int>> places = [];
    private readonly PriorityQueue<((int Left, int Right) Pair, long Count),
        (long Negative, int Left, int Right)> queue = new();

    /// <summary>Counts all pairs.</summary>
    /// <param name="words">Token ids of each distinct word; modified by <see cref="Merge"/>.</param>
    /// <param name="counts">How often each word occurs.</param>
    public PairCounts(List<int[]> words, List<long> counts)
    {
        this.words = words;
        this.counts = counts;
        for (int word = 0; word < words.Count; word++) Add(word, 1);
        foreach ((int Left, int Right) pair in totals.Keys) Enqueue(pair);
    }

    /// <summary>The most frequent pair, with the lowest ids among equally frequent ones; null if there is no
    /// pair.</summary>
    public (int Left, int Right)? MostFrequent()
    {
        while (queue.TryDequeue(out var entry, out _))
        {
            long now = totals.GetValueOrDefault(entry.Pair);
            if (now == entry.Count && now > 0) return entry.Pair;
            // An outdated count: the queue has a newer entry for the same pair.
        }
        return null;
    }

    /// <summary>Replaces every occurrence of the pair with a token.</summary>
    public void Merge((int Left, int Right) pair, int token)
    {
        var changed = new HashSet<(int, int)>();
        foreach (int word in places[pair].ToList())
        {
            changed.UnionWith(Add(word, -1));
            words[word] = Replace(words[word], pair, token);
            changed.UnionWith(Add(word, 1));
        }
        foreach ((int, int) touched in changed) Enqueue(touched);
    }

    private List<(int, int)> Add(int word, int sign)
    {
        int[] ids = words[word];
        var touched = new List<(int, int)>(ids.Length);
        for (int i = 0; i + 1 < ids.Length; i++)
        {
            (int, int) pair = (ids[i], ids[i + 1]);
            totals[pair] = totals.GetValueOrDefault(pair) + sign * counts[word];
            if (!places.TryGetValue(pair, out HashSet<int>? where)) places[pair] = where = [];
            if (sign > 0) where.Add(word);
            else where.Remove(word);
            touched.Add(pair);
        }
        return touched;
    }

    private void Enqueue((int Left, int Right) pair)
    {
        long count = totals[pair];
        if (count > 0) queue.Enqueue((pair, count), (-count, pair.Left, pair.Right));
    }

    private static int[] Replace(int[] ids, (int Left, int Right) pair, int token)
    {
        var result = new List<int>(ids.Length);
        for (int i = 0; i < ids.Length; i++)
        {
            if (i + 1 < ids.Length && ids[i] == pair.Left && ids[i + 1] == pair.Right)
            {
                result.Add(token);
                i++;
            }
            else result.Add(ids[i]);
        }
        return [.. result];
    }
}
