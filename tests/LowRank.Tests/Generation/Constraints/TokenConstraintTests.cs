using System.Text;
using System.Text.Json.Nodes;
using LowRank.Generation;
using LowRank.Tokenizers;
using static LowRank.Tests.Generation.Constraints.ConstraintCases;

namespace LowRank.Tests.Generation.Constraints;

public sealed class TokenConstraintTests
{
    private const string Hotel = """
        {"type": "object", "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 12},
         "kind": {"enum": ["hotel", "bar", 3, null]}, "price": {"type": "number", "minimum": 0, "maximum": 999.5},
         "nights": {"type": "integer", "multipleOf": 3},
         "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-zäöü]{2,5}$"}, "maxItems": 3},
         "day": {"type": "string", "format": "date"},
         "more": {"anyOf": [{"type": "boolean"}, {"type": "array", "prefixItems": [{"type": "integer"}, {"const": "x"}],
          "items": false}]}},
         "required": ["name", "kind", "price"], "additionalProperties": false}
        """;

    public static TheoryData<string> Tokenizers => ["gpt2", "llama2", "qwen2", "llama3", "gemma", "t5_unigram"];

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void Random_walks_end_in_texts_that_an_independent_judge_accepts(string name)
    {
        Tokenizer tokenizer = Tokenizer(name);
        TokenVocabulary vocabulary = Vocabulary(tokenizer);
        TokenConstraint constraint = Schema(Hotel).Compile(vocabulary),
            json = TextConstraint.Json().Compile(vocabulary);
        var judge = Json.Schema.JsonSchema.FromText(Hotel);
        for (int seed = 0; seed < 12; seed++)
        {
            string text = Walk(constraint, tokenizer, vocabulary, new Random(seed));
            Assert.True(judge.Evaluate(JsonNode.Parse(text)).IsValid, text);
            Assert.IsType<JsonObject>(JsonNode.Parse(Walk(json, tokenizer, vocabulary, new Random(seed))));
        }
    }

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void Masks_are_what_each_token_alone_says(string name)
    {
        Tokenizer tokenizer = Tokenizer(name);
        TokenVocabulary vocabulary = Vocabulary(tokenizer);
        TextConstraint[] all = [Schema(Hotel), TextConstraint.Json(), TextConstraint.Regex("[a-z]+ x?")];
        foreach (TextConstraint each in all)
        {
            ConstraintState state = each.Compile(vocabulary).Start();
            var random = new Random(5);
            for (int step = 0; step < 15 && !state.MustEnd; step++)
            {
                List<int> allowed = Allowed(state, vocabulary.Size);
                Assert.Equal(Enumerable.Range(0, vocabulary.Size).Where(token => state.Clone().TryAdd(token)), allowed);
                Assert.True(allowed.All(token => token < tokenizer.VocabularySize && state.IsAllowed(token)));
                int[] open = [.. allowed.Where(token => !vocabulary.EndTokens.Contains(token))];
                Assert.True(state.TryAdd(open[random.Next(open.Length)]));
            }
        }
    }

    [Fact]
    public void What_a_token_writes_is_what_decoding_shows()
    {
        Tokenizer tokenizer = Tokenizer("llama2");
        TokenVocabulary vocabulary = Vocabulary(tokenizer);
        int spaced = tokenizer.TokenToId("▁(")!.Value;
        TokenConstraint constraint = TextConstraint.Choice("( (").Compile(vocabulary);
        // The space before the first token is not shown, so that the token writes none.
        ConstraintState state = constraint.Start();
        Assert.True(state.TryAdd(spaced));
        Assert.True(state.TryAdd(spaced));
        Assert.True(state.MustEnd);
        Assert.Equal("( (", tokenizer.Decode([spaced, spaced]));
        Assert.False(constraint.Start(afterText: true).TryAdd(spaced));
        Assert.True(TextConstraint.Text(" (").Compile(vocabulary).Start(afterText: true).TryAdd(spaced));
    }

    [Fact]
    public void A_text_ends_by_a_token_where_it_may_end()
    {
        ConstraintState state = TextConstraint.Choice("a", "ab").Compile(Bytes).Start();
        Assert.False(state.MayEnd);
        Assert.False(state.TryAdd(256));
        Assert.True(state.TryAdd('a'));
        Assert.True(state.MayEnd);
        Assert.False(state.MustEnd);
        Assert.Equal(['b', 256], Allowed(state, 257));
        ConstraintState copy = state.Clone();
        Assert.True(state.TryAdd(256));
        Assert.True(state is { HasEnded: true, MustEnd: true, ForcedText: "" });
        Assert.Equal([], Allowed(state, 257));
        Assert.False(state.TryAdd('b'));
        Assert.True(copy.TryAdd('b'));
        Assert.True(copy is { HasEnded: false, MustEnd: true });
        Assert.Equal([256], Allowed(copy, 257));
    }

    [Fact]
    public void Text_without_alternatives_is_known_before_it_is_written()
    {
        ConstraintState state = Schema("""
            {"type": "object", "properties": {"né": {"enum": ["hotel", "hostel"]}}, "required": ["né"],
             "additionalProperties": false}
            """).Compile(Bytes).Start();
        Assert.Equal("{\"né\":", state.ForcedText);
        foreach (byte value in Encoding.UTF8.GetBytes("{\"n")) Assert.True(state.TryAdd(value));
        Assert.Equal("é\":", state.ForcedText);
        foreach (byte value in Encoding.UTF8.GetBytes("é\": ")) Assert.True(state.TryAdd(value));
        Assert.Equal("\"ho", state.ForcedText);
        foreach (byte value in Encoding.UTF8.GetBytes("\"hot")) Assert.True(state.TryAdd(value));
        Assert.Equal("el\"}", state.ForcedText);
    }

    [Fact]
    public void Special_tokens_stand_for_their_text_in_a_literal_and_nowhere_else()
    {
        TokenVocabulary vocabulary = WithMarks(out int call, out int end);
        TokenConstraint constraint = TextConstraint.Sequence(
            TextConstraint.Text("<call>\n"), TextConstraint.Regex("[^x]*"), TextConstraint.Text("</call>"))
            .Compile(vocabulary);
        ConstraintState state = constraint.Start();
        Assert.Equal(['<', call], Allowed(state, vocabulary.Size));
        Assert.True(state.TryAdd(call));
        Assert.Equal("\n", state.ForcedText);
        Assert.True(state.TryAdd('\n'));
        Assert.False(state.TryAdd(call));
        Assert.True(state.TryAdd('y'));
        Assert.True(state.IsAllowed(end));
        Assert.True(state.Clone().TryAdd(end));
        foreach (char written in "</call>") Assert.True(state.TryAdd(written));
        Assert.True(state.MayEnd);
    }

    [Fact]
    public void A_tokenizer_that_cannot_write_the_texts_is_refused()
    {
        ReadOnlyMemory<byte>[] letters = [.. "abc".Select(letter => (ReadOnlyMemory<byte>)new[] { (byte)letter }),
            Encoding.UTF8.GetBytes("{\"")];
        var vocabulary = TokenVocabulary.Of(letters, []);
        Assert.Contains("no text that this tokenizer can write",
            Assert.Throws<InputException>(() => TextConstraint.Json().Compile(vocabulary)).Message,
            StringComparison.Ordinal);
        // Texts that it can write remain.
        ConstraintState state = TextConstraint.Choice("abc", "abd", "bca").Compile(vocabulary).Start();
        Assert.True(state.TryAdd(0));
        Assert.Equal("bc", state.ForcedText);
    }

    [Fact]
    public void Ids_beyond_the_tokenizer_and_negative_ones_are_never_allowed()
    {
        var vocabulary = TokenVocabulary.Of([new[] { (byte)'a' }], [], size: 100);
        ConstraintState state = TextConstraint.Regex("a*").Compile(vocabulary).Start();
        Assert.Equal([0], Allowed(state, 100));
        Assert.All([-1, 1, 99, 100, int.MaxValue],
            token => Assert.False(state.TryAdd(token) || state.IsAllowed(token)));
    }

    [Fact]
    public void Equal_constraints_share_their_masks()
    {
        TokenVocabulary vocabulary = Vocabulary(Tokenizer("gpt2"));
        TokenConstraint one = Schema(Hotel).Compile(vocabulary), two = Schema(Hotel).Compile(vocabulary);
        Assert.Same(one, two);
        Assert.NotSame(one, TextConstraint.Json().Compile(vocabulary));
        Assert.True(one.Start().Allowed == two.Start().Allowed);
    }

    [Fact]
    public void States_that_are_forgotten_are_built_again_with_the_same_masks()
    {
        TokenConstraint constraint = TextConstraint.Regex("(a|b)*a(a|b){8}").Compile(Bytes);
        ConstraintState state = constraint.Start();
        var random = new Random(1);
        List<uint[]> masks = [];
        List<int> tokens = [];
        for (int i = 0; i < 50; i++)
        {
            masks.Add(state.Allowed.ToArray());
            tokens.Add("ab"[random.Next(2)]);
            Assert.True(state.TryAdd(tokens[^1]));
            if (i % 7 == 0) constraint.Forget();
        }
        state = constraint.Start();
        foreach ((uint[] mask, int token) in masks.Zip(tokens))
        {
            Assert.Equal(mask, state.Allowed.ToArray());
            Assert.True(state.TryAdd(token));
            constraint.Forget();
        }
    }

    [Fact]
    public async Task Requests_on_several_threads_share_a_constraint()
    {
        Tokenizer tokenizer = Tokenizer("qwen2");
        TokenVocabulary vocabulary = Vocabulary(tokenizer);
        TokenConstraint constraint = Schema(Hotel).Compile(vocabulary);
        string[] texts = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(
            () => Walk(constraint, tokenizer, vocabulary, new Random(i % 2)))));
        Assert.Equal(2, texts.Distinct().Count());
    }

    private static TokenVocabulary Vocabulary(Tokenizer tokenizer) => TokenVocabulary.Of(
        tokenizer, tokenizer.VocabularySize + 7,
        [tokenizer.EosTokenId ?? tokenizer.TokenToId("<|end_of_text|>") ?? tokenizer.TokenToId("</s>")
            ?? tokenizer.TokenToId("<eos>") ?? 0]);

    private static TokenVocabulary WithMarks(out int call, out int end)
    {
        (call, end) = (256, 257);
        return TokenVocabulary.Of(
            [.. Enumerable.Range(0, 256).Select(value => (ReadOnlyMemory<byte>)new[] { (byte)value }),
                Encoding.UTF8.GetBytes("<call>"), Encoding.UTF8.GetBytes("</call>")], [],
            marks: new Dictionary<string, int> { ["<call>"] = call, ["</call>"] = end });
    }

    // Random tokens; after a while those that bring the text to its end.
    private static string Walk(
        TokenConstraint constraint, Tokenizer tokenizer, TokenVocabulary vocabulary, Random random)
    {
        ConstraintState state = constraint.Start();
        StreamingDecoder decoder = tokenizer.CreateStreamingDecoder();
        var text = new StringBuilder();
        for (int step = 0; !state.HasEnded; step++)
        {
            Assert.InRange(step, 0, 3000);
            List<int> allowed = Allowed(state, vocabulary.Size);
            Assert.NotEmpty(allowed);
            int[] closing = step < 40 ? [] : [.. allowed.Where(token => vocabulary.EndTokens.Contains(token)
                || tokenizer.Decode([token]) is "\"" or "]" or "}" or "," or ":" or "null")];
            int token = closing.Length > 0 ? closing[random.Next(closing.Length)]
                : allowed[random.Next(allowed.Count)];
            Assert.True(state.TryAdd(token));
            if (!state.HasEnded) text.Append(decoder.Add(token));
        }
        string result = text.Append(decoder.Flush()).ToString();
        Assert.True(constraint.Accepts(result), result);
        return result;
    }
}
