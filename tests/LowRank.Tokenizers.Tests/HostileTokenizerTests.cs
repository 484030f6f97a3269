using System.Text.Json.Nodes;

namespace LowRank.Tokenizers.Tests;

/// <summary>tokenizer.json files that make a text grow without end, or take time without end.</summary>
public sealed class HostileTokenizerTests
{
    private const string Model = """{"type": "BPE", "vocab": {"a": 0, "b": 1, " ": 2}, "merges": []}""";
    private const string Doubles = """{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}""";
    private const string DoublesByRegex = """{"type": "Replace", "pattern": {"Regex": "a"}, "content": "aa"}""";

    public static TheoryData<string> Growing =>
    [
        $$"""{"type": "Sequence", "normalizers": [{{Many(Doubles)}}]}""",
        $$"""{"type": "Sequence", "normalizers": [{{Many(DoublesByRegex)}}]}""",
        $$"""{"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": [{{Many(Doubles)}}]}]}""",
        $$"""{"type": "Prepend", "prepend": "{{new string('a', 100_000)}}"}""",
        $$"""{"type": "Append", "append": "{{new string('a', 100_000)}}"}""",
        $$"""{"type": "Sequence", "normalizers": [{{Many("""{"type": "ByteLevel"}""")}}]}""",
        $$"""{"type": "Replace", "pattern": {"Regex": "x*"}, "content": "{{new string('a', 100_000)}}"}""",
    ];

    [Theory, MemberData(nameof(Growing))]
    public void A_normalizer_may_make_a_text_only_so_long(string normalizer)
    {
        Tokenizer tokenizer = Read($$"""{"normalizer": {{normalizer}}, "model": {{Model}}}""");
        Assert.Contains("characters of a text of 8; at most 64 times as many and 10000 more",
            Refusal(() => tokenizer.Encode("aaé ab é")), StringComparison.Ordinal);
        Assert.Contains(
            $"in {Path.Combine(".", "tokenizer.json")} makes more than",
            Refusal(() => tokenizer.EncodeFull("aaé ab é")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}""")]
    [InlineData("""{"type": "ByteLevel", "add_prefix_space": true}""")]
    [InlineData(
        """{"type": "Metaspace", "replacement": "x", "prepend_scheme": "always"}, {"type": "Metaspace", "replacement": "y", "prepend_scheme": "always"}""")]
    public void Pre_tokenizers_may_make_a_text_only_so_long(string stage)
    {
        Tokenizer tokenizer =
            Read($$"""{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{{Many(stage)}}]}, "model": {{Model}}}""");
        Assert.Contains(
            "at most 64 times as many", Refusal(() => tokenizer.Encode("éé é xyxy")), StringComparison.Ordinal);
        Assert.Contains(
            "at most 64 times as many", Refusal(() => tokenizer.EncodeFull("éé é xyxy")), StringComparison.Ordinal);
    }

    [Theory, InlineData(Doubles), InlineData(DoublesByRegex)]
    public void A_decoder_may_make_a_text_only_so_long(string stage)
    {
        Tokenizer tokenizer =
            Read($$"""{"decoder": {"type": "Sequence", "decoders": [{{Many(stage)}}]}, "model": {{Model}}}""");
        Assert.Contains(
            "at most 64 times as many", Refusal(() => tokenizer.Decode([0, 0, 1])), StringComparison.Ordinal);
    }

    [Fact]
    public void A_post_processor_puts_only_so_much_around_a_text()
    {
        const string Text = """{"Sequence": {"id": "A", "type_id": 0}}""",
            Token = """{"SpecialToken": {"id": "a", "type_id": 0}}""",
            Tokens = """{"a": {"id": "a", "ids": [0], "tokens": ["a"]}}""";
        string Template(string parts) =>
            $$"""{"type": "TemplateProcessing", "single": [{{parts}}], "special_tokens": {{Tokens}}}""";
        string Whole(string processor) => $$"""{"post_processor": {{processor}}, "model": {{Model}}}""";
        Assert.Contains(
            "expected a template in which each text stands once",
            Refusal(() => Read(Whole(Template($"{Text}, {Text}")))), StringComparison.Ordinal);
        Assert.Contains(
            "more than 1000 tokens around a text",
            Refusal(() => Read(Whole(Template($"{Text}, {string.Join(", ", Enumerable.Repeat(Token, 1000))}")))),
            StringComparison.Ordinal);
        Assert.Contains(
            "more than 1000 tokens around a text",
            Refusal(() => Read(
                Whole($$"""{"type": "Sequence", "processors": [{{string.Join(", ", Enumerable.Repeat(Template($"{Token}, {Text}"), 1001))}}]}"""))), StringComparison.Ordinal);
        Assert.Equal([0, 1, 0], Read(Whole(Template($"{Token}, {Text}, {Token}"))).Encode("b"));
    }

    [Theory]
    [InlineData("""{"normalizer": {"type": "Replace", "pattern": {"Regex": "(?:a*a*)*c"}, "content": ""}""")]
    [InlineData(
        """{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Split", "pattern": {"Regex": "(?:a*a*)*c"}, "behavior": "Isolated"}]}""")]
    public void The_patterns_of_a_text_share_their_steps(string part)
    {
        // Each word alone takes a few million steps; without a bound on them together many words would take hours.
        Tokenizer tokenizer = Read($$"""{{part}}, "model": {{Model}}}""");
        string text = string.Join(' ', Enumerable.Repeat(new string('a', 12), 2000));
        Assert.Contains("needs too many steps", Refusal(() => tokenizer.Encode(text)), StringComparison.Ordinal);
    }

    [Fact]
    public void Ordinary_growth_is_no_growth()
    {
        Tokenizer tokenizer =
            Read($$"""{"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Replace", "pattern": {"String": " "}, "content": "a"}]}, "model": {{Model}}}""");
        Assert.Equal(4 * 1000, tokenizer.Encode(string.Concat(Enumerable.Repeat("a  b", 1000))).Length);
        // 18 characters each, the most that Unicode has
        Assert.NotEmpty(tokenizer.EncodeFull(new string('\uFDFA', 20_000)).Ids);
    }

    private static string Many(string stage) => string.Join(", ", Enumerable.Repeat(stage, 40));

    private static string Refusal(Action act) => Assert.Throws<InputException>(act).Message;

    private static Tokenizer Read(string json) => Tokenizer.Parse(JsonNode.Parse(json)!.ToJsonString(), ".");
}
