using System.Text.Json.Nodes;

namespace LowRank.Tokenizers.Tests;

/// <summary>The forms that tokenizers have on disk besides tokenizer.json.</summary>
public sealed class TokenizerFilesTests : IDisposable
{
    private static readonly string[] Bert =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##want", "##ed", "runn", "##ing", ",", "é", "e"];
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-tokenizer-");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void Vocab_txt_alone_is_BERTs_tokenizer()
    {
        Write("vocab.txt", string.Join('\n', Bert) + "\n");
        Assert.True(Tokenizer.IsPresent(folder.FullName));
        Tokenizer tokenizer = Tokenizer.Load(folder.FullName);
        Assert.Equal([2, 5, 6, 7, 10, 8, 9, 3], tokenizer.Encode("UNwantéd, running"));
        Assert.Equal("unwanted, running",
            tokenizer.Decode(tokenizer.Encode("UNwantéd, running"), skipSpecialTokens: true));
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
        Assert.Contains(
            "[SEP], [PAD], [CLS], [MASK]",
            Assert.Throws<InputException>(() => Tokenizer.Load(folder.FullName)).Message);
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
        // as in transformers, lengths are the caller's to give
        Assert.Equal([0, 1, 2, 3], tokenizer.EncodeFull("a b c d").Ids);
        Assert.Equal([2, 3], tokenizer.EncodeFull("a b c d", new EncodingOptions { MaxLength = 2 }).Ids);
        TokenEncoding filled = tokenizer.EncodeFull("a", new EncodingOptions { PadTo = 3 });
        Assert.Equal([4, 4, 0], filled.Ids);
        Assert.Equal([7, 7, 0], filled.TypeIds);
        Assert.Equal([0, 1],
            tokenizer.EncodeFull(
                "a b c d", new EncodingOptions { MaxLength = 2, TruncationSide = TextSide.Right }).Ids);
        Assert.Equal(2, tokenizer.Notes.Count);
        Assert.Contains("cut texts at 3 tokens (LongestFirst)", tokenizer.Notes[0], StringComparison.Ordinal);
        Assert.Contains("fill texts up to 6 tokens", tokenizer.Notes[1], StringComparison.Ordinal);
        Write("tokenizer_config.json", """{"truncation_side": "right", "padding_side": "right"}""");
        tokenizer = Tokenizer.Load(folder.FullName);
        Assert.Equal([0, 1], tokenizer.EncodeFull("a b c d", new EncodingOptions { MaxLength = 2 }).Ids);
        Assert.Equal([0, 4], tokenizer.EncodeFull("a", new EncodingOptions { PadTo = 2 }).Ids);
    }

    [Theory]
    [InlineData("\"Left\", \"max_length\"", "\"Up\", \"max_length\"",
        "truncation: direction is \"Up\", expected left or right")]
    [InlineData("\"LongestFirst\"", "\"Shortest\"", "truncation: strategy is \"Shortest\"")]
    [InlineData("{\"Fixed\": 6}", "\"Some\"", "padding: strategy is \"Some\"")]
    [InlineData("\"max_length\": 3,", "", "truncation: max_length is missing")]
    public void A_section_on_lengths_that_is_malformed_is_refused(string part, string changed, string expected)
    {
        Assert.Contains(part, WithLengths, StringComparison.Ordinal);
        Write("tokenizer.json", WithLengths.Replace(part, changed, StringComparison.Ordinal));
        Assert.Contains(expected, Assert.Throws<InputException>(() => Tokenizer.Load(folder.FullName)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_side_in_the_config_that_is_none_is_refused()
    {
        Write("vocab.txt", string.Join('\n', Bert));
        Write("tokenizer_config.json", """{"truncation_side": "top"}""");
        Assert.Contains(
            "truncation_side is \"top\"", Assert.Throws<InputException>(() => Tokenizer.Load(folder.FullName)).Message,
            StringComparison.Ordinal);
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
    public void A_model_file_takes_the_numbers_of_its_class()
    {
        byte[] model = [.. Piece("<unk>", 0, 2), .. Piece("<s>", 0, 3), .. Piece("</s>", 0, 3), .. Piece("▁a", -1, 1),
            .. Piece("b", -2, 1), .. Piece("▁", -3, 1)];
        void Put(string file) => File.WriteAllBytes(Path.Combine(folder.FullName, file), model);
        Put("sentencepiece.bpe.model");
        Write("config.json", """{"model_type": "xlm-roberta"}""");
        Assert.Equal([0, 4, 5, 2], Tokenizer.Load(folder.FullName).Encode("ab"));
        Assert.Equal([0, 4, 2, 2, 6, 5, 2], Tokenizer.Load(folder.FullName).EncodeFull("a", "b").Ids);
        Assert.Equal([0, 7, 2], Tokenizer.Load(folder.FullName).Encode("<mask>"));
        // No class of the folder's: sentencepiece's own way, with a beginning as LLaMA has it.
        Write("config.json", """{"model_type": "llama"}""");
        Assert.Equal([1, 3, 4], Tokenizer.Load(folder.FullName).Encode("ab"));
        Write("tokenizer_config.json", """{"add_bos_token": false, "add_eos_token": true}""");
        Assert.Equal([3, 4, 2], Tokenizer.Load(folder.FullName).Encode("ab"));
        Write("config.json", """{"model_type": "t5"}""");
        Assert.Contains(
            "lacks spiece.model: model_type \"t5\" in config.json means T5Tokenizer", Refusal(),
            StringComparison.Ordinal);
        Put("spiece.model");
        Assert.Equal([3, 105, 2], Tokenizer.Load(folder.FullName).Encode("a<extra_id_0>"));
        Assert.Equal("a<unk>", Tokenizer.Load(folder.FullName).Decode([3, 0]));
    }

    private const string Small =
        """{"a": 0, "b": 1, "Ġ": 2, "Ġb": 3, "<s>": 4, "</s>": 5, "<unk>": 6, "<pad>": 7, "<mask>": 8}""";

    private void Pairs()
    {
        Write("vocab.json", Small);
        Write("merges.txt", "#version: 0.2\nĠ b\n");
    }

    [Fact]
    public void Vocab_and_merges_are_read_by_the_class_that_the_folder_names()
    {
        Pairs();
        Tokenizer bare = Tokenizer.Load(folder.FullName);
        Assert.Equal([0, 3], bare.Encode("a b"));
        Assert.Contains("names no tokenizer class", Assert.Single(bare.Notes), StringComparison.Ordinal);
        Write("config.json", """{"model_type": "roberta"}""");
        Assert.Equal([4, 0, 3, 5], Tokenizer.Load(folder.FullName).Encode("a b"));
        Assert.Empty(Tokenizer.Load(folder.FullName).Notes);
        Assert.Equal((4, 5, 7, 8), Tokenizer.Load(folder.FullName) is var roberta
            ? (roberta.BosTokenId, roberta.EosTokenId, roberta.PadTokenId, roberta.MaskTokenId) : default);
        Write("special_tokens_map.json",
            """{"mask_token": {"content": "<mask>", "lstrip": true, "rstrip": false, "normalized": false, "single_word": false}}""");
        // the mask takes the blank before it
        Assert.Equal([4, 0, 8, 3, 5], Tokenizer.Load(folder.FullName).Encode("a <mask> b"));
        Write("config.json", """{"model_type": "opt"}""");
        Write("tokenizer_config.json",
            """{"tokenizer_class": "GPT2Tokenizer", "add_bos_token": true, "bos_token": {"content": "</s>", "__type": "AddedToken"}, "eos_token": "</s>", "unk_token": "</s>"}""");
        Assert.Equal([5, 0, 3], Tokenizer.Load(folder.FullName).Encode("a b"));
    }

    [Theory]
    [InlineData("""{"model_type": "gpt2"}""", """{"tokenizer_class": "OddTokenizer"}""",
        "tokenizer_class is OddTokenizer, which is not supported without one; supported: BartTokenizer")]
    [InlineData("""{"model_type": "bloom"}""", "{}",
        "model_type \"bloom\" does not say which class reads vocab.json, merges.txt")]
    [InlineData("""{"model_type": "bert"}""", "{}",
        "lacks vocab.txt: model_type \"bert\" in config.json means BertTokenizer, which reads vocab.txt; found: " +
        "vocab.json, merges.txt")]
    [InlineData("""{"model_type": "deberta"}""", "{}", "vocab.json lacks [CLS], [SEP]")]
    [InlineData("""{"model_type": "gpt2"}""", """{"add_bos_token": true}""",
        "add_bos_token is true, but \"<|endoftext|>\" is neither in the vocabulary")]
    [InlineData("""{"model_type": "gpt2"}""", """{"add_prefix_space": "yes"}""",
        "add_prefix_space is \"yes\", expected true or false")]
    [InlineData("""{"model_type": "gpt2"}""",
        """{"added_tokens_decoder": {"12": {"content": "<x>", "special": true}}}""",
        "\"<x>\" has the id 12 in the files, but the vocabulary puts it at 9")]
    [InlineData("""{"model_type": "gpt2"}""", """{"added_tokens_decoder": {"x": {"content": "<x>"}}}""",
        "added_tokens_decoder holds \"x\"")]
    public void A_class_that_is_not_known_or_does_not_fit_is_refused(
        string config, string tokenizerConfig, string expected)
    {
        Pairs();
        Write("config.json", config);
        Write("tokenizer_config.json", tokenizerConfig);
        Assert.Contains(expected, Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_class_of_another_file_is_refused_beside_a_sentencepiece_model()
    {
        File.WriteAllBytes(Path.Combine(folder.FullName, "spiece.model"), Piece("<unk>", 0, 2));
        Write("config.json", """{"model_type": "albert"}""");
        Write("tokenizer_config.json", """{"tokenizer_class": "AlbertTokenizer"}""");
        Assert.Contains(
            "tokenizer_class is AlbertTokenizer, which is not supported", Refusal(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"unk_id": 0, "vocab": [["<unk>", 0.0], ["▁a", -1.0], ["b", -2.0]]}""", new[] { 1, 2 })]
    [InlineData(
        """{"vocab": {"[UNK]": 0, "▁a": 1, "##b": 2}, "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}""", new[] { 1, 2 })]
    [InlineData("""{"vocab": {"▁": 0, "a": 1, "b": 2, "▁a": 3}, "merges": ["▁ a"]}""", new[] { 3, 2 })]
    public void A_model_from_before_its_type_was_written_opens(string model, int[] expected)
    {
        Write("tokenizer.json", $$"""{"pre_tokenizer": {"type": "Metaspace"}, "model": {{model}}}""");
        Assert.Equal(expected, Tokenizer.Load(folder.FullName).Encode("ab"));
    }

    [Fact]
    public void A_model_without_a_type_that_could_be_anything_is_refused()
    {
        Write("tokenizer.json", """{"model": {"vocab": {"a": 0}, "unk_token": "a"}}""");
        Assert.Contains("model: type is missing", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_normalised_added_token_is_shown_as_it_is_found()
    {
        Write("tokenizer.json", """
            {"normalizer": {"type": "Lowercase"}, "decoder": {"type": "Fuse"}, "model": {"type": "BPE", "vocab": {"a": 0, " ": 1}, "merges": []},
             "added_tokens": [{"id": 2, "content": "NewÉ", "special": false, "normalized": true}, {"id": 3, "content": "SPEC", "special": true, "normalized": true},
              {"id": 4, "content": "TAG", "special": true, "normalized": false}]}
            """);
        Tokenizer tokenizer = Tokenizer.Load(folder.FullName);
        int[] ids = tokenizer.Encode("NEWÉ SPEC TAG");
        Assert.Equal([2, 1, 3, 1, 4], ids);
        Assert.Equal("newé spec TAG", tokenizer.Decode(ids));
        // "spec" is not the special token "SPEC" there
        Assert.Equal("newé spec ", tokenizer.Decode(ids, skipSpecialTokens: true));
        Assert.Equal((2, (int?)null), (tokenizer.TokenToId("NewÉ"), tokenizer.TokenToId("newé")));
    }

    private string Refusal() => Assert.Throws<InputException>(() => Tokenizer.Load(folder.FullName)).Message;

    [Fact]
    public void Options_that_cannot_be_met_are_refused_all_at_once()
    {
        Write("vocab.txt", string.Join('\n', Bert));
        Tokenizer tokenizer = Tokenizer.Load(folder.FullName);
        string message = Assert.Throws<InputException>(
            () => tokenizer.EncodeFull(
                "un", new EncodingOptions { MaxLength = 0, Stride = -1, PadTo = 0,
                Truncation = Truncation.OnlySecond })).Message;
        foreach (string part in new[] { "MaxLength is 0", "Stride is -1", "PadTo is 0", "OnlySecond" })
            Assert.Contains(part, message);
        Assert.Contains(
            "no room", Assert.Throws<InputException>(
                () => tokenizer.EncodeFull("un", new EncodingOptions { MaxLength = 1 })).Message);
    }

    private static byte[] Piece(string text, float score, byte kind)
    {
        byte[] name = System.Text.Encoding.UTF8.GetBytes(text);
        byte[] fields = [0x0A, (byte)name.Length, .. name, 0x15, .. BitConverter.GetBytes(score), 0x18, kind];
        return [0x0A, (byte)fields.Length, .. fields];
    }

    private void Write(string name, string content) => File.WriteAllText(Path.Combine(folder.FullName, name), content);
}
