using LowRank.Data;
using LowRank.Recipes;
using static LowRank.Tests.Data.ByteTokenizer;

namespace LowRank.Tests.Data;

/// <summary>What begins and ends a text stands there once, and a conversation needs tokens that part its
/// turns.</summary>
public sealed class TextBoundaryTests
{
    [Theory]
    [InlineData("""{"text": "<s>ab"}""", "<s>ab</s>")]
    [InlineData("""{"prompt": "<s>a", "completion": "b"}""", "<s>ab</s>")]
    [InlineData("""{"prompt": "<s>a", "completion": "b</s>"}""", "<s>ab</s>")]
    [InlineData("""{"text": "<s><s>ab"}""", "<s><s>ab</s>")] // what is written twice was meant so
    public void A_text_that_spells_its_own_beginning_gets_no_second_one(string row, string expected)
    {
        foreach (bool addsEnd in new[] { false, true })
        {
            var tokenizer = new ByteTokenizer { AddsEnd = addsEnd };
            LoadedExamples loaded = Load(row, tokenizer);
            Assert.Equal(expected, tokenizer.Decode(loaded.Examples[0].InputIds));
            Assert.Contains(
                "1 row begins with <s>, which the tokenizer adds to every text", Assert.Single(loaded.Notes).ToString(),
                StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_tokenizer_that_adds_none_leaves_what_is_written()
    {
        var tokenizer = new ByteTokenizer { AddsBegin = false };
        LoadedExamples loaded = Load("""{"text": "<s>ab"}""", tokenizer);
        Assert.Equal([Begin, 'a', 'b', End], loaded.Examples[0].InputIds);
        Assert.Empty(loaded.Notes);
    }

    [Fact]
    public void A_token_that_begins_and_ends_texts_is_told_by_its_place()
    {
        var tokenizer = new ByteTokenizer { EndId = Begin };
        Assert.Equal([Begin, 'a', Begin], Load("""{"text": "<s>a"}""", tokenizer).Examples[0].InputIds);
        Assert.Equal([Begin], PromptEncoding.Prompt(tokenizer, "<s>"));
    }

    [Theory]
    [InlineData(TrainOn.Completion)]
    [InlineData(TrainOn.All)]
    public void A_turns_end_that_is_the_texts_end_is_learned_once(TrainOn trainOn)
    {
        var tokenizer = new ByteTokenizer { EndId = TurnEnd };
        const string row =
            """{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}""";
        TokenizedExample example = Load(row, tokenizer, trainOn).Examples[0];
        Assert.Equal("<s><|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n",
            tokenizer.Decode(example.InputIds));
        if (trainOn == TrainOn.Completion)
            Assert.Equal(['b', TurnEnd], example.Labels.Where(label => label != TokenizedExample.Ignored));
        // Where another token ends a text, nothing but that stops generation.
        Assert.Equal(['b', TurnEnd, '\n', End],
            Load(row, new ByteTokenizer()).Examples[0].Labels.Where(label => label != TokenizedExample.Ignored));
    }

    [Fact]
    public void A_model_without_template_and_ChatMls_tokens_learns_no_conversations()
    {
        var tokenizer = new ByteTokenizer { KnowsTurns = false };
        InputException failure = Assert.Throws<InputException>(
            () => Load("""{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}""",
            tokenizer));
        failure.Word(Recipe.Wording);
        string said = failure.Message;
        Assert.Contains(".jsonl:1 is a conversation. The model has no chat template", said, StringComparison.Ordinal);
        Assert.Contains("does not know <|im_start|> and <|im_end|>", said, StringComparison.Ordinal);
        Assert.Contains("Train with a template (data.chat_template)", said, StringComparison.Ordinal);
        Assert.Contains("add the tokens (adapter.new_tokens)", said, StringComparison.Ordinal);
        Assert.Single(Load("""{"text": "a"}""", tokenizer).Examples);
    }

    private static LoadedExamples Load(string row, ByteTokenizer tokenizer, TrainOn trainOn = TrainOn.Completion)
    {
        using var file = new TemporaryFile(row);
        return ExampleLoader.Load([file.Path], tokenizer, new ExampleOptions { TrainOn = trainOn });
    }
}
