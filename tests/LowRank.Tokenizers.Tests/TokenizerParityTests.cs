using System.Text.Json;
using CsCheck;

namespace LowRank.Tokenizers.Tests;

/// <summary>Every reference case of the tokenizers library, exactly.</summary>
public sealed class TokenizerParityTests
{
    public static TheoryData<string> Kinds =>
        ["gpt2", "llama3", "qwen2", "llama2", "mistral", "gemma", "roberta", "bert_cased", "bert_uncased",
        "t5_unigram"];

    [Theory, MemberData(nameof(Kinds))]
    public void Ids_tokens_and_texts_equal_the_reference(string kind)
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "Fixtures", "tokenizers", kind);
        Tokenizer tokenizer = Tokenizer.Load(folder);
        int cases = 0;
        foreach (string line in File.ReadLines(Path.Combine(folder, "cases.jsonl")))
        {
            JsonElement expected = JsonDocument.Parse(line).RootElement;
            string text = expected.GetProperty("text").GetString()!;
            int[] ids = Ids(expected, "ids"), withSpecial = Ids(expected, "ids_special");
            Assert.Equal(ids, tokenizer.Encode(text, addSpecialTokens: false));
            Assert.Equal(withSpecial, tokenizer.Encode(text, addSpecialTokens: true));
            // The reference shows an added token with the blanks it took from the text, and unigram's unknown one as
            // the text.
            Assert.Equal(expected.GetProperty("tokens").EnumerateArray().Select((token, i) =>
                    kind == "t5_unigram" && ids[i] == 2 ? "<unk>" : tokenizer.IsSpecial(ids[i])
                        ? token.GetString()!.Trim() : token.GetString()),
                ids.Select(tokenizer.IdToToken));
            Assert.Equal(expected.GetProperty("decoded").GetString(), tokenizer.Decode(withSpecial));
            Assert.Equal(expected.GetProperty("decoded_skip_special").GetString(),
                tokenizer.Decode(withSpecial, skipSpecialTokens: true));
            cases++;
        }
        Assert.Equal(69, cases);
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Streaming_gives_the_text_of_the_whole_and_never_half_a_character(string kind)
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "Fixtures", "tokenizers", kind);
        Tokenizer tokenizer = Tokenizer.Load(folder);
        foreach (string line in File.ReadLines(Path.Combine(folder, "cases.jsonl")))
        {
            int[] ids = Ids(JsonDocument.Parse(line).RootElement, "ids_special");
            foreach (bool skips in new[] { true, false })
            {
                StreamingDecoder decoder = tokenizer.CreateStreamingDecoder(skips);
                string[] parts = [.. ids.Select(decoder.Add), decoder.Flush()];
                Assert.Equal(tokenizer.Decode(ids, skips), string.Concat(parts));
                Assert.All(parts[..^1],
                    part => Assert.False(
                        part.EndsWith('\uFFFD') || (part.Length > 0 && char.IsHighSurrogate(part[^1]))));
            }
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    [InlineData("sentencepiece_bpe")]
    [InlineData("sentencepiece_unigram")]
    public void Streaming_equals_the_whole_for_any_tokens(string kind)
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "Fixtures", "tokenizers", kind);
        Tokenizer tokenizer = Tokenizer.Load(kind.StartsWith("sentencepiece", StringComparison.Ordinal)
            ? Path.Combine(folder, "tokenizer.model") : folder);
        // Bytes that make up characters, and bytes that spoil them, come more often than by chance.
        int[] bytes = [
            .. Enumerable.Range(0, 256).Select(value => tokenizer.TokenToId($"<0x{value:X2}>")).OfType<int>()];
        int[] some = bytes.Length == 0 ? []
            : [.. new[] { 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0x80, 0x41, 0xFF, 0xC3, 0xA9 }.Select(
                value => bytes[value])];
        Gen.Int[0, tokenizer.VocabularySize - 1]
            .SelectMany(id => Gen.Int[0, 20].Select(choice => choice < some.Length ? some[choice] : id)).Array[0, 30]
            .Sample(ids =>
        {
            StreamingDecoder decoder = tokenizer.CreateStreamingDecoder(skipSpecialTokens: false);
            string streamed = string.Concat(ids.Select(decoder.Add)) + decoder.Flush();
            Assert.Equal(tokenizer.Decode(ids), streamed);
        }, iter: 1000, print: ids => string.Join(' ', ids.Select(id => $"{id}={tokenizer.IdToToken(id)}")));
    }

    [Theory]
    [InlineData("sentencepiece_bpe")]
    [InlineData("sentencepiece_unigram")]
    public void A_sentencepiece_model_gives_what_sentencepiece_gives(string kind)
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "Fixtures", "tokenizers", kind);
        Tokenizer tokenizer = Tokenizer.Load(Path.Combine(folder, "tokenizer.model"));
        int cases = 0;
        foreach (string line in File.ReadLines(Path.Combine(folder, "cases.jsonl")))
        {
            JsonElement expected = JsonDocument.Parse(line).RootElement;
            string text = expected.GetProperty("text").GetString()!;
            int[] ids = Ids(expected, "ids");
            Assert.Equal(ids, tokenizer.Encode(text));
            Assert.Equal(expected.GetProperty("tokens").EnumerateArray().Select(token => token.GetString()),
                ids.Select(tokenizer.IdToToken));
            Assert.Equal(expected.GetProperty("decoded").GetString(), tokenizer.Decode(ids));
            Assert.Equal(ids, tokenizer.EncodeFull(text).Ids);
            cases++;
        }
        Assert.Equal(68, cases);
    }

    [Fact]
    public void Vocab_and_merges_alone_give_what_tokenizer_json_gives()
    {
        string source = Path.Combine(AppContext.BaseDirectory, "Fixtures", "tokenizers", "gpt2");
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-gpt2-");
        try
        {
            JsonElement model =
                JsonDocument.Parse(
                    File.ReadAllText(Path.Combine(source, "tokenizer.json"))).RootElement.GetProperty("model");
            File.WriteAllText(Path.Combine(folder.FullName, "vocab.json"), model.GetProperty("vocab").GetRawText());
            File.WriteAllLines(Path.Combine(folder.FullName, "merges.txt"), ["#version: 0.2",
                .. model.GetProperty("merges").EnumerateArray()
                .Select(merge => $"{merge[0].GetString()} {merge[1].GetString()}")]);
            Tokenizer whole = Tokenizer.Load(source), parts = Tokenizer.Load(folder.FullName);
            foreach (string line in File.ReadLines(Path.Combine(source, "cases.jsonl")))
            {
                string text = JsonDocument.Parse(line).RootElement.GetProperty("text").GetString()!;
                Assert.Equal(whole.Encode(text), parts.Encode(text));
            }
            Assert.Equal(0, parts.EosTokenId);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static int[] Ids(JsonElement element, string name) =>
        [.. element.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];
}
