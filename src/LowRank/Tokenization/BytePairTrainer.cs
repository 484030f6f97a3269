using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Tokenization.PreTokenizers;

namespace LowRank.Tokenization;

/// <summary>Trains a byte-level BPE vocabulary (Sennrich et al., arXiv 1508.07909; bytes as in GPT-2) and writes it as a
/// <c>tokenizer.json</c> that the tokenizers library reads.</summary>
/// <remarks>Text is split by Qwen2's pattern: words with their leading space, digits singly, punctuation. The most frequent
/// pair is merged first; among equals, the one of lower token ids, so that the result depends on the counts alone.</remarks>
public static class BytePairTrainer
{
    /// <summary>Trains and returns the content of a tokenizer.json.</summary>
    /// <param name="texts">The text to learn from.</param>
    /// <param name="vocabularySize">Tokens in all: special ones, 256 bytes, merges.</param>
    /// <param name="specialTokens">Tokens that text never produces; they take the first ids.</param>
    /// <exception cref="InputException">The vocabulary has no room for the bytes and special tokens.</exception>
    public static string Train(IEnumerable<string> texts, int vocabularySize, IReadOnlyList<string> specialTokens)
    {
        if (vocabularySize < 256 + specialTokens.Count)
            throw new InputException($"The vocabulary size is {vocabularySize}; expected at least {256 + specialTokens.Count}: 256 bytes and {specialTokens.Count} special tokens.");
        List<string> tokens = [.. specialTokens, .. Enumerable.Range(0, 256).Select(b => ByteAlphabet.Character(b).ToString()).Order(StringComparer.Ordinal)];
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

    private static string ToJson(List<string> tokens, List<(string Left, string Right)> merges, IReadOnlyList<string> specialTokens)
    {
        var vocabulary = new JsonObject();
        for (int id = specialTokens.Count; id < tokens.Count; id++) vocabulary[tokens[id]] = id;
        for (int id = 0; id < specialTokens.Count; id++) vocabulary[specialTokens[id]] = id;
        var byteLevel = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = false, ["use_regex"] = false };
        var root = new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray([.. specialTokens.Select((token, id) => new JsonObject
            {
                ["id"] = id, ["content"] = token, ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false, ["normalized"] = false, ["special"] = true,
            })]),
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = SplitPatterns.Qwen2Text }, ["behavior"] = "Isolated", ["invert"] = false },
                    byteLevel.DeepClone()),
            },
            ["post_processor"] = byteLevel.DeepClone(),
            ["decoder"] = byteLevel.DeepClone(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE", ["dropout"] = null, ["unk_token"] = null, ["continuing_subword_prefix"] = null, ["end_of_word_suffix"] = null,
                ["fuse_unk"] = false, ["byte_fallback"] = false, ["ignore_merges"] = false,
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. merges.Select(merge => new JsonArray(merge.Left, merge.Right))]),
            },
        };
        return root.ToJsonString(new JsonSerializerOptions { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
    }
}
