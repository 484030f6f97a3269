using System.Text;
using CsCheck;

namespace LowRank.Tokenizers.Tests;

public sealed class TokenizerPropertyTests
{
    private static readonly string[] Texts =
        File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "Fixtures", "hotels.jsonl"));
    private static readonly Lazy<Tokenizer> ByteLevel = new(() => Make(BytePairTrainer.Train(Texts, 600, ["<|end|>"])));

    [Fact]
    public void Any_text_comes_back_from_its_bytes() =>
        Gen.String[Gen.Char, 0, 60].Sample(text =>
        {
            Tokenizer tokenizer = ByteLevel.Value;
            // Half a surrogate pair is no character: it becomes U+FFFD, as UTF-8 has it.
            string expected = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
            return tokenizer.Decode(tokenizer.Encode(text)) == expected;
        });

    [Fact]
    public void Streaming_equals_the_whole_for_any_tokens() =>
        Gen.Int[0, 599].Array[0, 40].Sample(ids =>
        {
            StreamingDecoder decoder = ByteLevel.Value.CreateStreamingDecoder(skipSpecialTokens: false);
            string streamed = string.Concat(ids.Select(decoder.Add)) + decoder.Flush();
            return streamed == ByteLevel.Value.Decode(ids);
        });

    [Fact]
    public void A_piece_has_the_same_tokens_by_queue_as_by_scan_and_from_the_cache_as_anew() =>
        Gen.Char['a', 'z'].Array[30, 200].Sample(letters =>
        {
            // A word of any length is one piece: long ones take the queue, which must agree with merging step by step.
            string word = new(letters);
            int[] ids = ByteLevel.Value.Encode(word);
            return ids.SequenceEqual(ByteLevel.Value.Encode(word)) && ids.SequenceEqual(MergeStepByStep(word));
        }, iter: 300);

    [Fact]
    public void The_trainer_makes_the_same_file_each_time_and_the_vocabulary_asked_for()
    {
        string first = BytePairTrainer.Train(Texts, 500, ["<|end|>"]),
            second = BytePairTrainer.Train(Texts, 500, ["<|end|>"]);
        Assert.Equal(first, second);
        Tokenizer tokenizer = Make(first);
        Assert.Equal(500, tokenizer.VocabularySize);
        Assert.Equal(0, tokenizer.TokenToId("<|end|>"));
        Assert.True(tokenizer.Encode(Texts[0]).Length < Texts[0].Length / 2); // it has learned the words of the data
        InputException refused = Assert.Throws<InputException>(() => BytePairTrainer.Train(Texts, 100, []));
        Assert.Contains("at least 256", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{", "is not valid JSON")]
    [InlineData("[]", "does not hold a JSON object")]
    [InlineData("{}", "model is missing")]
    [InlineData("{\"model\":{\"type\":\"Other\"}}", "type is \"Other\"; supported: BPE")]
    [InlineData("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"b\"]]}}",
        "needs the token \"b\"")]
    [InlineData("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},\"normalizer\":{\"type\":\"Magic\"}}",
        "normalizer: type is \"Magic\"")]
    public void A_file_that_cannot_be_used_is_refused_with_its_place(string json, string expected)
    {
        InputException refused = Assert.Throws<InputException>(() => Make(json));
        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
    }

    private static int[] MergeStepByStep(string word)
    {
        Tokenizer tokenizer = ByteLevel.Value;
        List<string> parts = [.. word.Select(c => c.ToString())];
        while (true)
        {
            // Merges were learned in the order of their tokens' ids.
            int best = -1, id = int.MaxValue;
            for (int i = 0; i + 1 < parts.Count; i++)
                if (tokenizer.TokenToId(parts[i] + parts[i + 1]) is { } merged && merged < id
                    && IsMerge(parts[i], parts[i + 1], merged))
                    (best, id) = (i, merged);
            if (best < 0) return [.. parts.Select(part => tokenizer.TokenToId(part)!.Value)];
            parts[best] += parts[best + 1];
            parts.RemoveAt(best + 1);
        }
    }

    // A token comes from one merge only; another pair that spells the same is none.
    private static bool IsMerge(string left, string right, int merged) =>
        Merges.Value.Contains((left, right)) && merged > 256;

    private static readonly Lazy<HashSet<(string, string)>> Merges = new(() =>
    {
        using var json = System.Text.Json.JsonDocument.Parse(BytePairTrainer.Train(Texts, 600, ["<|end|>"]));
        return [.. json.RootElement.GetProperty("model").GetProperty("merges").EnumerateArray()
            .Select(pair => (pair[0].GetString()!, pair[1].GetString()!))];
    });

    private static Tokenizer Make(string json)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-tokenizer-");
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "tokenizer.json"), json);
            return Tokenizer.Load(folder.FullName);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
