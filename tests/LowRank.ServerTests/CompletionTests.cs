using System.Text.Json;

namespace LowRank.ServerTests;

/// <summary>POST /v1/completions.</summary>
[Collection(WriterFixture.Name)]
public sealed class CompletionTests(WriterFixture fixture)
{
    private const string Path = "/v1/completions";

    private RunningServer Server => fixture.Server;

    [Fact]
    public async Task An_answer_is_what_OpenAI_would_send()
    {
        Answer answer = (await Server.Post(Path, new { model = "trained", prompt = "abc", temperature = 0 })).Good();
        OpenAiSchema.Validate("CreateCompletionResponse", answer.Json);
        Assert.Equal(3, answer.Json.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        Assert.InRange(answer.Json.GetProperty("usage").GetProperty("completion_tokens").GetInt32(), 1, 16);
    }

    [Fact]
    public async Task Each_prompt_has_its_texts_in_order_whether_it_comes_as_text_or_as_tokens()
    {
        object Body(object prompt) =>
            new { prompt, n = 2, seed = 3, max_tokens = 4, structured_outputs = new { regex = "[a-z]{3}" } };
        string[] Texts(Answer answer) => [.. answer.Good().Json.GetProperty("choices").EnumerateArray()
            .Select(choice => choice.GetProperty("text").GetString()!)];
        string[] texts = Texts(await Server.Post(Path, Body(new[] { "ab", "cd" })));
        Assert.Equal(4, texts.Length);
        Assert.Equal(texts, Texts(await Server.Post(Path, Body(new[] { Tokens("ab"), Tokens("cd") }))));
        Assert.Equal(texts[..2], Texts(await Server.Post(Path, Body("ab"))));
    }

    [Fact]
    public async Task A_stream_and_the_whole_are_the_same()
    {
        object Body(bool stream) => new { prompt = "The ", stream, temperature = 0.9, seed = 11, max_tokens = 30 };
        Answer whole = (await Server.Post(Path, Body(false))).Good();
        JsonElement[] chunks = await Server.Chunks(Path, Body(true));
        Assert.All(chunks, chunk => OpenAiSchema.Validate("CreateCompletionResponse", Finished(chunk)));
        Assert.Equal(whole.Written, string.Concat(
            chunks.Select(chunk => chunk.GetProperty("choices")[0].GetProperty("text").GetString())));
    }

    [Fact]
    public async Task Echo_shows_the_prompt_with_its_log_probabilities()
    {
        Answer answer = (await Server.Post(Path, new { prompt = "hello", echo = true, max_tokens = 0, logprobs = 2 }))
            .Good();
        Assert.Equal("hello", answer.Written);
        Assert.Equal(0, answer.Json.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        JsonElement scores = answer.Json.GetProperty("choices")[0].GetProperty("logprobs");
        Assert.Equal(["h", "e", "l", "l", "o"],
            scores.GetProperty("tokens").EnumerateArray().Select(token => token.GetString()));
        Assert.Equal([0, 1, 2, 3, 4],
            scores.GetProperty("text_offset").EnumerateArray().Select(offset => offset.GetInt32()));
        JsonElement[] values = [.. scores.GetProperty("token_logprobs").EnumerateArray()];
        Assert.Equal(JsonValueKind.Null, values[0].ValueKind);
        Assert.All(values.Skip(1), value => Assert.True(value.GetDouble() < 0));
        Assert.All(scores.GetProperty("top_logprobs").EnumerateArray().Skip(1),
            likeliest => Assert.InRange(likeliest.EnumerateObject().Count(), 1, 3));
    }

    [Fact]
    public async Task A_seed_repeats_a_text_and_no_seed_does_not()
    {
        async Task<string> Write(object? seed) => (await Server.Post(Path, JsonSerializer.Serialize(new
        {
            prompt = "a", seed, max_tokens = 40, structured_outputs = new { regex = "[a-z]{30}" },
        }))).Good().Written;
        Assert.Equal(await Write(7), await Write(7));
        Assert.NotEqual(await Write(7), await Write(8));
        Assert.NotEqual(await Write(null), await Write(null));
    }

    [Fact]
    public async Task A_bias_forbids_and_forces_tokens()
    {
        var forced = new Dictionary<string, int> { [$"{Token('z')}"] = 100 };
        Answer answer = (await Server.Post(Path, new { prompt = "a", logit_bias = forced, max_tokens = 5 })).Good();
        Assert.Equal("zzzzz", answer.Written);
    }

    [Theory]
    [InlineData("", "prompt", "missing_required_parameter")]
    [InlineData("'prompt': []", "prompt", "invalid_value")]
    [InlineData("'prompt': {}", "prompt", "invalid_value")]
    [InlineData("'prompt': [-1]", "prompt", "invalid_value")]
    [InlineData("'prompt': [4294967297]", "prompt", "invalid_value")]
    [InlineData("'prompt': [[1.5]]", "prompt", "invalid_value")]
    [InlineData("'prompt': 'a', 'max_tokens': 0", "max_tokens", "invalid_value")]
    [InlineData("'prompt': 'a', 'suffix': 'b'", "suffix", "unsupported_parameter")]
    [InlineData("'prompt': 'a', 'best_of': 3", "best_of", "unsupported_parameter")]
    [InlineData("'prompt': ['a', 'b'], 'n': 64", "prompt", "too_many")]
    [InlineData("'prompt': 'a', 'logprobs': 21", "logprobs", "invalid_value")]
    [InlineData(
        "'prompt': 'a', 'structured_outputs': {'regex': '('}", "structured_outputs.regex", "unsupported_schema")]
    public async Task What_cannot_be_honoured_is_refused_by_its_field(string body, string param, string code) =>
        (await Server.Post(Path, "{" + body.Replace('\'', '"') + "}")).Bad(400, param, code);

    // The tokens of a text: a byte each.
    internal static int[] Tokens(string text) => [.. text.Select(Token)];

    // The byte tokens of the model stand in the order of GPT-2's letters for bytes.
    internal static int Token(char letter) => letter - '!';

    // In a stream there is no reason until the end, which the schema does not know of this form.
    private static JsonElement Finished(JsonElement chunk) =>
        Answer.Parse(chunk.GetRawText().Replace(
            "\"finish_reason\":null", "\"finish_reason\":\"stop\"", StringComparison.Ordinal));
}
