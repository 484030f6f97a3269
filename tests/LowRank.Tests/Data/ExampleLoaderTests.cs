using LowRank.Tokenizers;
using LowRank.Data;
using static LowRank.Tests.Data.ByteTokenizer;

namespace LowRank.Tests.Data;

public sealed class ExampleLoaderTests
{
    private const int Off = TokenizedExample.Ignored;

    [Fact]
    public void Defaults() =>
        Assert.Equal((TrainOn.Completion, 512, (int?)null),
        (new ExampleOptions().TrainOn, new ExampleOptions().MaxLength, new ExampleOptions().VocabularySize));

    [Fact]
    public void A_text_is_learned_whole_and_ends()
    {
        TokenizedExample example = One("""{"text": "ab"}""", new ByteTokenizer());
        Assert.Equal([Begin, 'a', 'b', End], example.InputIds);
        Assert.Equal(example.InputIds, example.Labels);
        Assert.Equal([Begin, 'a', 'b', End], One("""{"text": "ab</s>"}""", new ByteTokenizer()).InputIds);
        Assert.Equal([Begin, 'a', 'b', End], One("""{"text": "ab"}""", new ByteTokenizer { AddsEnd = true }).InputIds);
        Assert.Equal([Begin, 'a', 'b'], One("""{"text": "ab"}""", new ByteTokenizer { HasEnd = false }).InputIds);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_completion_follows_the_ids_of_its_prompt(bool addsEnd)
    {
        const string row = """{"prompt": "ab", "completion": "c", "facts": ["c"]}""";
        TokenizedExample example = One(row, new ByteTokenizer { AddsEnd = addsEnd });
        Assert.Equal([Begin, 'a', 'b', 'c', End], example.InputIds);
        Assert.Equal([Off, Off, Off, 'c', End], example.Labels);
        Assert.Equal(example.InputIds,
            One(row, new ByteTokenizer { AddsEnd = addsEnd }, new ExampleOptions { TrainOn = TrainOn.All }).Labels);
        // A piece across the boundary is not what the model would see.
        Assert.Equal([Begin, 'a', 'b', 'c', End], One(row, new ByteTokenizer("bc")).InputIds);
        // An end-of-text token that the prompt spells out stays.
        Assert.Equal([Begin, 'a', End, 'b', End],
            One("""{"prompt": "a</s>", "completion": "b"}""", new ByteTokenizer { AddsEnd = addsEnd }).InputIds);
    }

    [Fact]
    public void A_tokenizer_that_prefixes_a_space_puts_none_before_a_completion()
    {
        // "bc" is one piece of the whole text, so its ids do not begin with those of the prompt.
        var tokenizer = new ByteTokenizer("bc") { PrefixesSpace = true };
        Assert.Equal([Begin, ' ', 'a', 'b', 'c', End],
            One("""{"prompt": "ab", "completion": "c"}""", tokenizer).InputIds);
    }

    [Fact]
    public void A_conversation_without_a_template_is_ChatMl()
    {
        const string row =
            """{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}, {"role": "user", "content": "x"}, {"role": "assistant", "content": "z"}]}""";
        TokenizedExample example = One(row, new ByteTokenizer());
        int[] user = [TurnBegin, .. "user\nx"u8, TurnEnd, '\n'], assistant = [TurnBegin, .. "assistant\n"u8];
        Assert.Equal([Begin, .. user, .. assistant, 'y', TurnEnd, '\n', .. user, .. assistant, 'z', TurnEnd, '\n', End],
            example.InputIds);
        Assert.Equal(["y<|im_end|>", "z<|im_end|>\n</s>"], Trained(example));
        TokenizedExample all = One(row, new ByteTokenizer(), new ExampleOptions { TrainOn = TrainOn.All });
        Assert.Equal(example.InputIds, all.Labels);
    }

    [Theory]
    // By difference: what the generation prompt does not write.
    [InlineData(
        "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% if m.role == 'assistant' %}{{ " +
        "eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}")]
    [InlineData(
        "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}{% generation %}{{ " +
        "m.content }}{{ eos_token }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}")]
    public void A_template_tells_the_assistants_turns(string template)
    {
        const string row =
            """{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "é😀"}, {"role": "user", "content": "y"}, {"role": "assistant", "content": "z"}]}""";
        TokenizedExample example = One(row, new ByteTokenizer { ChatTemplateSource = template });
        Assert.Equal("<s>[user]x[assistant]é😀</s>[user]y[assistant]z</s>",
            new ByteTokenizer().Decode(example.InputIds));
        Assert.Equal(["é😀</s>", "z</s>"], Trained(example));
        // Pieces across the boundaries: a token that holds a character of the turn is learned.
        var pieces = new ByteTokenizer("]é", "</s>[u") { ChatTemplateSource = template };
        Assert.Equal(["]é😀</s>[u", "z</s>"], Trained(One(row, pieces), pieces));
        var prefixing = new ByteTokenizer { ChatTemplateSource = template, PrefixesSpace = true };
        Assert.Equal(["é😀</s>", "z</s>"], Trained(One(row, prefixing)));
    }

    [Fact]
    public void A_normalizer_that_changes_lengths_moves_no_boundary()
    {
        const string template =
            "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% " +
            "endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}";
        const string row =
            """{"messages": [{"role": "user", "content": "ﬁﬁﬁﬁ"}, {"role": "assistant", "content": "ﬁ東"}, {"role": "user", "content": "ﬁ"}]}""";
        var tokenizer =
            new ByteTokenizer(
                "]fi", "i[u", "se") { ChatTemplateSource = template, Normalize = text => text.Replace("ﬁ", "fi") };
        TokenizedExample example = One(row, tokenizer);
        Assert.Contains(
            "[user]fifififi[assistant]fi東[user]fi", tokenizer.Decode(example.InputIds), StringComparison.Ordinal);
        Assert.Equal(["]fi東"], Trained(example, tokenizer));
    }

    [Fact]
    public void A_template_that_rewrites_earlier_turns_is_ambiguous()
    {
        const string template =
            "{% for m in messages %}{{ m.role }}{% if loop.last %}!{% endif %}{{ m.content }}{% endfor %}";
        const string row =
            """{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}""";
        using var file = new TemporaryFile(row);
        var tokenizer = new ByteTokenizer { ChatTemplateSource = template };
        Assert.Equal($"""
            The data has a problem:
              - {file.Path}:1: the chat template does not show where the assistant's turn "messages"[1] begins: the text before the turn is not a beginning of the text with it. Use another template, mark the turns with {"{% generation %}"} in it, or train on all tokens.
            """, Fails(file, tokenizer));
        Assert.Single(
            ExampleLoader.Load([file.Path], tokenizer, new ExampleOptions { TrainOn = TrainOn.All }).Examples);
    }

    [Fact]
    public void Tokens_are_taken_as_they_are_and_need_no_tokenizer()
    {
        using var file =
            new TemporaryFile("""{"input_ids": [1, 2, 3], "labels": [-100, 2, -100], "attention_mask": [0, 1, 1]}""");
        LoadedExamples loaded = ExampleLoader.Load([file.Path], null, new ExampleOptions { VocabularySize = 4 });
        TokenizedExample example = Assert.Single(loaded.Examples);
        Assert.Equal([1, 2, 3], example.InputIds);
        Assert.Equal([Off, 2, Off], example.Labels);
        Assert.Equal([0, 1, 1], Assert.IsType<int[]>(example.AttentionMask));
        Assert.Equal(new DataPlace(file.Path, 1), example.Place);
        Assert.Equal((1L, 3L, 1L), (loaded.Summary.Examples, loaded.Summary.Tokens, loaded.Summary.TrainedTokens));
    }

    [Fact]
    public void What_is_cut_is_counted_and_what_is_left_out_is_named()
    {
        using var file = new TemporaryFile(
            """{"prompt": "ab", "completion": "cdef"}""", """{"prompt": "abcdef", "completion": "g"}""",
            """{"text": "a"}""");
        LoadedExamples loaded =
            ExampleLoader.Load([file.Path], new ByteTokenizer(), new ExampleOptions { MaxLength = 5 });
        Assert.Equal([Begin, 'a', 'b', 'c', 'd'], loaded.Examples[0].InputIds);
        Assert.Equal([Off, Off, Off, 'c', 'd'], loaded.Examples[0].Labels);
        TokenizationSummary summary = loaded.Summary;
        Assert.Equal((2L, 8L, 4L, 2L, 7L, 1L),
            (summary.Examples, summary.Tokens, summary.TrainedTokens, summary.Truncated, summary.TokensCut,
            summary.Dropped));
        Assert.Equal(
            ["2 rows were longer than the maximum length 5 and lost 7 tokens at the end (35 % of all tokens, " +
                "55.56 % of those that are learned).",
             $"1 row was skipped because its first 5 tokens (the maximum length) contain nothing to learn: " +
                $"{file.Path}:2."],
                 summary.Warnings.Select(note => note.ToString()));
        using var none = new TemporaryFile("""{"prompt": "abcdef", "completion": "g"}""");
        Assert.StartsWith("No row is left to use. Raise the maximum length or shorten the rows.",
            Assert.Throws<InputException>(() => ExampleLoader.Load(
                [none.Path], new ByteTokenizer(), new ExampleOptions { MaxLength = 5 })).Message,
            StringComparison.Ordinal);
    }

    private static string Fails(TemporaryFile file, ITextTokenizer tokenizer) =>
        Assert.Throws<InputException>(() => ExampleLoader.Load([file.Path], tokenizer, new ExampleOptions())).Message;

    private static TokenizedExample One(string row, ITextTokenizer tokenizer, ExampleOptions? options = null)
    {
        using var file = new TemporaryFile(row);
        return Assert.Single(ExampleLoader.Load([file.Path], tokenizer, options ?? new ExampleOptions()).Examples);
    }

    private static List<string> Trained(TokenizedExample example, ByteTokenizer? tokenizer = null)
    {
        var runs = new List<string>();
        for (int i = 0; i < example.Labels.Length;)
        {
            int length = example.Labels.Skip(i).TakeWhile(label => label != Off).Count();
            if (length > 0) runs.Add((tokenizer ?? new ByteTokenizer()).Decode(example.InputIds[i..(i + length)]));
            Assert.Equal(example.InputIds[i..(i + length)], example.Labels[i..(i + length)]);
            i += Math.Max(1, length);
        }
        return runs;
    }
}
