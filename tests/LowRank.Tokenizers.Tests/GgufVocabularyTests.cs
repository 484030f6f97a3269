using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Tokenizers.Exchange;

namespace LowRank.Tokenizers.Tests;

/// <summary>Tokenizers as GGUF files have them, and back.</summary>
public sealed class GgufVocabularyTests
{
    private static readonly string Fixtures = Path.Combine(AppContext.BaseDirectory, "Fixtures", "tokenizers");

    [Theory, InlineData("gpt2", "gpt-2"), InlineData("llama3", "llama-bpe"), InlineData("qwen2", "qwen2")]
    public void Byte_pairs_come_back_with_the_references_ids(string kind, string pre)
    {
        using var folder = new TemporaryFolder();
        GgufVocabulary vocabulary = GgufVocabulary.Read(Path.Combine(Fixtures, kind), 200_000, null, pre);
        Assert.Equal(("gpt2", pre), (vocabulary.Model, vocabulary.Pre));
        Assert.Null(vocabulary.Scores);
        GgufTokenizerFiles.Write(vocabulary, folder.Path, "a.gguf");
        Compare(Path.Combine(Fixtures, kind), folder.Path);
    }

    [Fact]
    public void A_sentencepiece_model_comes_back_with_its_pieces_scores_and_ids()
    {
        using var folder = new TemporaryFolder();
        string source = Path.Combine(Fixtures, "sentencepiece_bpe");
        File.Copy(Path.Combine(source, "tokenizer.model"), folder["tokenizer.model"]);
        GgufVocabulary vocabulary = GgufVocabulary.Read(folder.Path, 5000);
        Assert.Equal(("llama", "default"), (vocabulary.Model, vocabulary.Pre));
        Assert.Equal(5000, vocabulary.Scores!.Count);
        Assert.Equal(5, vocabulary.Types[^1]); // rows without a token
        Assert.Equal("[PAD4999]", vocabulary.Tokens[^1]);
        string back = Directory.CreateDirectory(folder["back"]).FullName;
        GgufTokenizerFiles.Write(vocabulary, back, "a.gguf");
        Tokenizer before = Tokenizer.Load(Path.Combine(source, "tokenizer.model")),
            after = Tokenizer.Load(Path.Combine(back, "tokenizer.model"));
        foreach (JsonElement each in Cases(source))
        {
            string text = each.GetProperty("text").GetString()!;
            Assert.Equal(before.Encode(text, false), after.Encode(text, false));
        }
    }

    [Fact]
    public void A_byte_pair_tokenizer_that_llama_cpp_does_not_know_is_refused_with_its_digest()
    {
        InputException refusal =
            Assert.Throws<InputException>(() => GgufVocabulary.Read(Path.Combine(Fixtures, "gpt2"), 2000));
        Assert.Contains("llama.cpp does not know this tokenizer", refusal.Message, StringComparison.Ordinal);
        Assert.Matches("whose digest is [0-9a-f]{64} here", refusal.Message);
    }

    [Fact]
    public void GPT2s_own_tokenizer_is_known_by_its_digest()
    {
        string? folder = Environment.GetEnvironmentVariable("LOWRANK_ASSETS");
        folder ??= Path.Combine(RepositoryFiles.Root, "..", "shared", "assets");
        folder = Path.Combine(folder, "tokenizers", "gpt2");
        Assert.SkipUnless(Directory.Exists(folder), "GPT-2's files are not at hand: set LOWRANK_ASSETS.");
        GgufVocabulary vocabulary = GgufVocabulary.Read(folder, 50257);
        Assert.Equal(("gpt2", "gpt-2"), (vocabulary.Model, vocabulary.Pre));
        Assert.Equal(50000, vocabulary.Merges!.Count);
        Assert.Equal("Ġ t", vocabulary.Merges[0]);
    }

    [Theory, InlineData("bert_uncased", true), InlineData("bert_cased", false)]
    public void WordPiece_marks_the_beginnings_of_words_instead_of_their_ends(string kind, bool isLower)
    {
        string source = Path.Combine(Fixtures, kind);
        Tokenizer tokenizer = Tokenizer.Load(source);
        GgufVocabulary vocabulary = GgufVocabulary.Read(source, tokenizer.VocabularySize);
        Assert.Equal("bert", vocabulary.Model);
        for (int id = 0; id < tokenizer.VocabularySize; id++)
        {
            string token = tokenizer.IdToToken(id)!;
            Assert.Equal(tokenizer.IsSpecial(id) ? token : token.StartsWith("##", StringComparison.Ordinal)
                ? token[2..] : "▁" + token, vocabulary.Tokens[id]);
            Assert.Equal(tokenizer.IsSpecial(id) ? 3 : 1, vocabulary.Types[id]);
        }
        Assert.Equal(isLower, vocabulary.Settings["normalizer.lowercase"]);
        Assert.Equal((uint)tokenizer.TokenToId("[CLS]")!, vocabulary.Settings["bos_token_id"]);
        Assert.Equal((uint)tokenizer.TokenToId("[SEP]")!, vocabulary.Settings["eos_token_id"]);
    }

    [Fact]
    public void Scores_of_a_tokenizer_json_follow_its_merges_and_say_where_llama_cpp_joins_more()
    {
        GgufVocabulary vocabulary = GgufVocabulary.Read(Path.Combine(Fixtures, "llama2"), 1500);
        Assert.Equal("llama", vocabulary.Model);
        JsonObject json = JsonNode.Parse(File.ReadAllText(Path.Combine(Fixtures, "llama2", "tokenizer.json")))!
            .AsObject();
        float last = float.PositiveInfinity;
        foreach (JsonNode? merge in json["model"]!["merges"]!.AsArray())
        {
            string joined = merge is JsonArray both ? $"{both[0]}{both[1]}" : merge!.ToString().Replace(" ", "");
            int id = json["model"]!["vocab"]![joined]!.GetValue<int>();
            Assert.True(vocabulary.Scores![id] < last, joined);
            last = vocabulary.Scores[id];
        }
        Assert.Contains("llama.cpp joins", Assert.Single(vocabulary.Notes), StringComparison.Ordinal);
        Assert.Equal(6, vocabulary.Types[3]); // <0x00>
        Assert.Equal([2, 3, 3], vocabulary.Types.Take(3));
        Assert.Equal(true, vocabulary.Settings["add_space_prefix"]);
        Assert.Equal(true, vocabulary.Settings["add_bos_token"]);
        Assert.Equal(1u, vocabulary.Settings["bos_token_id"]);
    }

    [Fact]
    public void Unigram_takes_its_scores_and_its_map_of_characters_along()
    {
        GgufVocabulary vocabulary = GgufVocabulary.Read(Path.Combine(Fixtures, "t5_unigram"), 2100);
        Assert.Equal("t5", vocabulary.Model);
        Assert.Equal(true, vocabulary.Settings["add_eos_token"]);
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(Fixtures, "sentencepiece_unigram", "tokenizer.model"), folder["spiece.model"]);
        Assert.NotEmpty((byte[])GgufVocabulary.Read(folder.Path, 9000).Settings["precompiled_charsmap"]);
    }

    [Fact]
    public void Merges_whose_order_scores_cannot_say_are_refused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["tokenizer.json"], """
            {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "unk_token": "<unk>",
              "vocab": {"<unk>": 0, "a": 1, "b": 2, "c": 3, "ab": 4, "bc": 5, "abc": 6},
              "merges": ["a b", "ab c", "b c", "a bc"]}}
            """);
        Assert.Contains("the merges that give \"abc\" do not stand together",
            Assert.Throws<InputException>(() => GgufVocabulary.Read(folder.Path, 7)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_with_fewer_rows_than_tokens_and_unknown_kinds_are_refused()
    {
        Assert.Contains("the model 100 rows", Assert.Throws<InputException>(
            () => GgufVocabulary.Read(Path.Combine(Fixtures, "llama2"), 100)).Message, StringComparison.Ordinal);
        using var folder = new TemporaryFolder();
        foreach ((string model, string pre, string expected) in new[]
        {
            ("rwkv", "default", "tokenizer.ggml.model is rwkv"),
            ("gpt2", "command-r", "tokenizer.ggml.pre is command-r"),
            ("gpt2", "gpt-2", "tokenizer.ggml.merges is missing"), ("llama", "default", "scores has 0 numbers"),
        })
            Assert.Contains(expected, Assert.Throws<InputException>(() => GgufTokenizerFiles.Write(
                new GgufVocabulary(model, pre, ["a"], [1]), folder.Path, "a.gguf")).Message, StringComparison.Ordinal);
    }

    private static void Compare(string source, string back)
    {
        Tokenizer after = Tokenizer.Load(back);
        int count = 0;
        foreach (JsonElement each in Cases(source))
        {
            int[] Ids(string key) => [.. each.GetProperty(key).EnumerateArray().Select(id => id.GetInt32())];
            string text = each.GetProperty("text").GetString()!;
            Assert.Equal(Ids("ids"), after.Encode(text, addSpecialTokens: false));
            Assert.Equal(Ids("ids_special"), after.Encode(text));
            count++;
        }
        Assert.True(count > 50);
    }

    private static IEnumerable<JsonElement> Cases(string folder) =>
        File.ReadLines(Path.Combine(folder, "cases.jsonl")).Select(line => JsonDocument.Parse(line).RootElement);
}
