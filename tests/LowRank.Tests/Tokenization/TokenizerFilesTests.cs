using System.Text.Json.Nodes;
using LowRank.Tokenization;

namespace LowRank.Tests.Tokenization;

/// <summary>The forms that tokenizers have on disk besides tokenizer.json.</summary>
public sealed class TokenizerFilesTests : IDisposable
{
    private static readonly string[] Bert = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##want", "##ed", "runn", "##ing", ",", "é", "e"];
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-tokenizer-");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void Vocab_txt_alone_is_BERTs_tokenizer()
    {
        Write("vocab.txt", string.Join('\n', Bert) + "\n");
        Assert.True(Tokenizer.IsPresent(folder.FullName));
        Tokenizer tokenizer = Tokenizer.Load(folder.FullName);
        Assert.Equal([2, 5, 6, 7, 10, 8, 9, 3], tokenizer.Encode("UNwantéd, running"));
        Assert.Equal("unwanted, running", tokenizer.Decode(tokenizer.Encode("UNwantéd, running"), skipSpecialTokens: true));
        TokenEncoding pair = tokenizer.EncodeFull("unwanted", "running");
        Assert.Equal([2, 5, 6, 7, 3, 8, 9, 3], pair.Ids);
        Assert.Equal([0, 0, 0, 0, 0, 1, 1, 1], pair.TypeIds);
        Assert.Equal((0, 4), (tokenizer.PadTokenId, tokenizer.MaskTokenId));
        Assert.Equal([2, 4, 1, 3], tokenizer.Encode("[MASK] zebra"));
    }

    [Fact]
    public void Its_settings_come_from_the_config()
    {
        Write("vocab.txt", string.Join('\n', Bert));
        Write("tokenizer_config.json", """{"do_lower_case": false, "tokenize_chinese_chars": false}""");
        Tokenizer tokenizer = Tokenizer.Load(folder.FullName);
        Assert.Equal([11], tokenizer.Encode("é", addSpecialTokens: false)); // accents stay with the case
        Assert.Equal([1], tokenizer.Encode("UN", addSpecialTokens: false));
    }

    [Fact]
    public void A_vocabulary_without_BERTs_special_tokens_is_refused_with_what_is_missing()
    {
        Write("vocab.txt", "a\nb\n[UNK]\n");
        Assert.Contains("[SEP], [PAD], [CLS], [MASK]", Assert.Throws<InputException>(() => Tokenizer.Load(folder.FullName)).Message);
    }

    private const string WithLengths = """
        {"truncation": {"direction": "Left", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
         "padding": {"strategy": {"Fixed": 6}, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 4, "pad_type_id": 7, "pad_token": "<pad>"},
         "added_tokens": [{"id": 4, "content": "<pad>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}],
         "pre_tokenizer": {"type": "WhitespaceSplit"}, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3}, "merges": []}}
        """;

    [Fact]
    public void Sections_on_lengths_give_sides_and_padding_and_what_has_no_effect_is_said()
    {
        Write("tokenizer.json", WithLengths);
        Tokenizer tokenizer = Tokenizer.Load(folder.FullName);
        Assert.Equal([0, 1, 2, 3], tokenizer.EncodeFull("a b c d").Ids); // as in transformers, lengths are the caller's to give
        Assert.Equal([2, 3], tokenizer.EncodeFull("a b c d", new EncodingOptions { MaxLength = 2 }).Ids);
        TokenEncoding filled = tokenizer.EncodeFull("a", new EncodingOptions { PadTo = 3 });
        Assert.Equal([4, 4, 0], filled.Ids);
        Assert.Equal([7, 7, 0], filled.TypeIds);
        Assert.Equal([0, 1], tokenizer.EncodeFull("a b c d", new EncodingOptions { MaxLength = 2, TruncationSide = TextSide.Right }).Ids);
        Assert.Equal(2, tokenizer.Notes.Count);
        Assert.Contains("cut texts at 3 tokens (LongestFirst)", tokenizer.Notes[0], StringComparison.Ordinal);
        Assert.Contains("fill texts up to 6 tokens", tokenizer.Notes[1], StringComparison.Ordinal);
        Write("tokenizer_config.json", """{"truncation_side": "right", "padding_side": "right"}""");
        tokenizer = Tokenizer.Load(folder.FullName);
        Assert.Equal([0, 1], tokenizer.EncodeFull("a b c d", new EncodingOptions { MaxLength = 2 }).Ids);
        Assert.Equal([0, 4], tokenizer.EncodeFull("a", new EncodingOptions { PadTo = 2 }).Ids);
    }

    [Theory]
    [InlineData("\"Left\", \"max_length\"", "\"Up\", \"max_length\"", "truncation: direction is \"Up\", expected left or right")]
    [InlineData("\"LongestFirst\"", "\"Shortest\"", "truncation: strategy is \"Shortest\"")]
    [InlineData("{\"Fixed\": 6}", "\"Some\"", "padding: strategy is \"Some\"")]
    [InlineData("\"max_length\": 3,", "", "truncation: max_length is missing")]
    public void A_section_on_lengths_that_is_malformed_is_refused(string part, string changed, string expected)
    {
        Assert.Contains(part, WithLengths, StringComparison.Ordinal);
        Write("tokenizer.json", WithLengths.Replace(part, changed, StringComparison.Ordinal));
        Assert.Contains(expected, Assert.Throws<InputException>(() => Tokenizer.Load(folder.FullName)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_side_in_the_config_that_is_none_is_refused()
    {
        Write("vocab.txt", string.Join('\n', Bert));
        Write("tokenizer_config.json", """{"truncation_side": "top"}""");
        Assert.Contains("truncation_side is \"top\"", Assert.Throws<InputException>(() => Tokenizer.Load(folder.FullName)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new byte[] { 0xFF, 0xFF })]
    [InlineData(new byte[] { 0x0A, 0x7F, 0x01 })]
    [InlineData(new byte[] { })]
    public void A_damaged_model_file_is_named(byte[] content)
    {
        string path = Path.Combine(folder.FullName, "tokenizer.model");
        File.WriteAllBytes(path, content);
        Assert.Contains(path, Assert.Throws<InputException>(() => Tokenizer.Load(folder.FullName)).Message);
    }

    [Fact]
    public void A_model_file_takes_the_numbers_of_its_family()
    {
        // Pieces <unk>, <s>, </s>, ▁a, b, ▁ as a unigram model.
        File.WriteAllBytes(Path.Combine(folder.FullName, "sentencepiece.bpe.model"),
            [.. Piece("<unk>", 0, 2), .. Piece("<s>", 0, 3), .. Piece("</s>", 0, 3), .. Piece("▁a", -1, 1), .. Piece("b", -2, 1), .. Piece("▁", -3, 1)]);
        Write("config.json", """{"model_type": "xlm-roberta"}""");
        Assert.Equal([0, 4, 5, 2], Tokenizer.Load(folder.FullName).Encode("ab"));
        Assert.Equal([0, 4, 2, 2, 6, 5, 2], Tokenizer.Load(folder.FullName).EncodeFull("a", "b").Ids);
        Assert.Equal([0, 7, 2], Tokenizer.Load(folder.FullName).Encode("<mask>"));
        Write("config.json", """{"model_type": "llama"}""");
        Assert.Equal([1, 3, 4], Tokenizer.Load(folder.FullName).Encode("ab"));
        Write("tokenizer_config.json", """{"add_bos_token": false, "add_eos_token": true}""");
        Assert.Equal([3, 4, 2], Tokenizer.Load(folder.FullName).Encode("ab"));
        Write("config.json", """{"model_type": "t5"}""");
        Assert.Equal([3, 105, 2], Tokenizer.Load(folder.FullName).Encode("a<extra_id_0>"));
        Assert.Equal(" a ⁇ ".Trim(), Tokenizer.Load(folder.FullName).Decode([3, 0]).Trim());
    }

    [Fact]
    public void Options_that_cannot_be_met_are_refused_all_at_once()
    {
        Write("vocab.txt", string.Join('\n', Bert));
        Tokenizer tokenizer = Tokenizer.Load(folder.FullName);
        string message = Assert.Throws<InputException>(() => tokenizer.EncodeFull("un", new EncodingOptions { MaxLength = 0, Stride = -1, PadTo = 0, Truncation = Truncation.OnlySecond })).Message;
        foreach (string part in new[] { "MaxLength is 0", "Stride is -1", "PadTo is 0", "OnlySecond" }) Assert.Contains(part, message);
        Assert.Contains("no room", Assert.Throws<InputException>(() => tokenizer.EncodeFull("un", new EncodingOptions { MaxLength = 1 })).Message);
    }

    private static byte[] Piece(string text, float score, byte kind)
    {
        byte[] name = System.Text.Encoding.UTF8.GetBytes(text);
        byte[] fields = [0x0A, (byte)name.Length, .. name, 0x15, .. BitConverter.GetBytes(score), 0x18, kind];
        return [0x0A, (byte)fields.Length, .. fields];
    }

    private void Write(string name, string content) => File.WriteAllText(Path.Combine(folder.FullName, name), content);
}
