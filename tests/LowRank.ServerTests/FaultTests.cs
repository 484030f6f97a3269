using System.Text.Json;

namespace LowRank.ServerTests;

/// <summary>Faults of other servers that this one must not have; the numbers are those of docs/serving.md, and further
/// ones stand beside their subjects (<see cref="ModelTests"/>, <see cref="LifeTests"/>,
/// <see cref="GuardTests"/>).</summary>
[Collection(WriterFixture.Name)]
public sealed class FaultTests(WriterFixture fixture)
{
    private const string Completions = "/v1/completions", Chat = "/v1/chat/completions";
    private static readonly object[] Hello = [new { role = "user", content = "Hello" }];

    private RunningServer Server => fixture.Server;

    // vLLM 51594: what an adapter changes of the head is missing from the log-probabilities of prompts.
    [Fact]
    public async Task Fault_6_log_probabilities_of_a_prompt_are_the_adapters()
    {
        async Task<string> Scores(string model) => (await Server.Post(Completions, new
        {
            model, prompt = "abcdefgh", echo = true, max_tokens = 0, logprobs = 1,
        })).Good().Json.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("token_logprobs").GetRawText();
        Assert.NotEqual(await Scores("writer"), await Scores("golden"));
        Assert.NotEqual(await Scores("trained"), await Scores("golden"));
        Assert.Equal(await Scores("golden"), await Scores("golden"));
    }

    // llama.cpp 26207 and mlx-lm 965: what is kept of one prompt comes up in another's answer.
    [Fact]
    public async Task Faults_2_and_10_answers_do_not_depend_on_what_was_asked_before_or_beside()
    {
        async Task<string> Write(string model, string prompt) => (await Server.Post(Completions, new
        {
            model, prompt, temperature = 0, max_tokens = 12, logprobs = 0,
        })).Good().Json.GetProperty("choices")[0].GetRawText();
        string[] models = ["writer", "golden", "trained"];
        string shared = "A beginning that all of these prompts share, word by word, up to here: ";
        (string Model, string Prompt)[] asked = [.. models.SelectMany(model =>
            Enumerable.Range(0, 4).Select(number => (model, shared + number)))];
        Dictionary<(string, string), string> alone = [];
        foreach ((string model, string prompt) in asked) alone[(model, prompt)] = await Write(model, prompt);
        string[] together = await Task.WhenAll(asked.Reverse().Select(one => Write(one.Model, one.Prompt)));
        Assert.Equal(asked.Reverse().Select(one => alone[one]), together);
        Assert.Equal(3, models.Select(model => alone[(model, shared + "0")]).Distinct().Count());
    }

    // vLLM 3574 and 42210: stop strings leak, and a stream differs from the whole.
    [Theory]
    [InlineData("one STOP two", "STOP", "one ")]
    [InlineData("one STO", "STOP", "one STO")]
    [InlineData("ooSTSTOPx", "STOP", "ooST")]
    [InlineData("Grüße👋", "👋", "Grüße")]
    [InlineData("abab", "bab", "a")]
    public async Task Fault_13_a_stop_string_shows_neither_whole_nor_in_part(
        string written, string stop, string expected)
    {
        string Body(bool stream) => JsonSerializer.Serialize(new
        {
            prompt = "a", stream, stop = new[] { "never", stop }, max_tokens = 100,
            structured_outputs = new { choice = new[] { written } },
        });
        Answer whole = (await Server.Post(Completions, Body(false))).Good();
        Assert.Equal(expected, whole.Written);
        Assert.Equal("stop", whole.Json.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        JsonElement[] chunks = await Server.Chunks(Completions, Body(true));
        string[] pieces = [.. chunks.Select(chunk =>
            chunk.GetProperty("choices")[0].GetProperty("text").GetString()!)];
        Assert.Equal(expected, string.Concat(pieces));
        Assert.Equal("stop", chunks[^1].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    // vLLM 931: characters are split between chunks. The model's tokens are bytes.
    [Fact]
    public async Task Fault_14_a_character_is_sent_whole()
    {
        const string Text = "日本 👩‍👩‍👧 Ωß";
        JsonElement[] chunks = await Server.Chunks(Chat, new
        {
            messages = Hello, stream = true, structured_outputs = new { choice = new[] { Text } },
        });
        Assert.Equal(Text, ChatTests.Text(chunks));
        Assert.All(chunks, chunk => Assert.DoesNotContain('\uFFFD', chunk.GetRawText()));
    }

    // sglang 5984: minus infinity in JSON gives 500.
    [Fact]
    public async Task Fault_15_a_token_that_cannot_be_has_minus_9999()
    {
        Answer answer = (await Server.Post(Completions, new
        {
            prompt = "a", logprobs = 20, max_tokens = 1, temperature = 0,
            logit_bias = new Dictionary<string, int> { [$"{CompletionTests.Token('z')}"] = 100 },
        })).Good();
        Assert.Equal("z", answer.Written);
        Assert.DoesNotContain("Infinity", answer.Text, StringComparison.Ordinal);
        Assert.Equal(-9999f, LowRank.Server.Writing.TokenTexts.Finite(float.NegativeInfinity));
        Assert.Equal(-9999f, LowRank.Server.Writing.TokenTexts.Finite(float.NaN));
        Assert.Equal(-2f, LowRank.Server.Writing.TokenTexts.Finite(-2));
    }

    // CVE-2025-48944: a schema or pattern that cannot be compiled ends the server.
    [Theory]
    [InlineData("S{'type': 'banana'}")]
    [InlineData("S{'$ref': '#/nowhere'}")]
    [InlineData("S{'pattern': '('}")]
    [InlineData("S'x'")]
    [InlineData("'response_format': {'type': 'json_schema', 'json_schema': {'name': 'a'}}")]
    [InlineData("S{'$ref': 'https://example.org/a.json'}")]
    [InlineData("'structured_outputs': {'regex': 'a{1,2000000000}'}")]
    [InlineData("'structured_outputs': {'regex': '(?=a)'}")]
    [InlineData("'structured_outputs': {'choice': []}")]
    public async Task Fault_16_what_cannot_be_compiled_is_refused_with_its_path(string field)
    {
        if (field.StartsWith('S')) // a schema
            field = "'response_format': {'type': 'json_schema', 'json_schema': {'name': 'a', 'schema': "
                + field[1..] + "}}";
        Answer refused = (await Server.Post(Chat,
            $$"""{"messages": [{"role": "user", "content": "a"}], {{field.Replace('\'', '"')}}}""")).Bad(400);
        Assert.StartsWith(field[1..field.IndexOf('\'', 1)], refused.Error.GetProperty("param").GetString(),
            StringComparison.Ordinal);
        (await Server.Post(Completions, new { prompt = "a", max_tokens = 1 })).Good();
    }

    [Fact]
    public async Task Fault_16_a_keyword_that_is_not_supported_is_named_with_its_path()
    {
        Answer refused = (await Server.Post(Chat, """
            {"messages": [{"role": "user", "content": "a"}], "response_format": {"type": "json_schema", "json_schema":
             {"name": "a", "schema": {"type": "object", "properties": {"list": {"type": "array",
              "contains": {"type": "string"}, "uniqueItems": true}}}}}}
            """)).Bad(400, "response_format.json_schema.schema", "unsupported_schema");
        Assert.Contains("properties/list", refused.Error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    // CVE-2026-34756: a huge n.
    [Theory]
    [InlineData("1000000")]
    [InlineData("2147483647")]
    [InlineData("1e9")]
    public async Task Fault_16_a_huge_n_is_refused(string n) =>
        (await Server.Post(Completions, $$"""{"prompt": "a", "n": {{n}}}""")).Bad(400, "n", "invalid_value");

    // CVE-2025-62426: arguments of a template from a client block the server.
    [Theory]
    [InlineData("'chat_template': '{% for i in range(99999999) %}a{% endfor %}'", "chat_template")]
    [InlineData("'chat_template_kwargs': {'chat_template': 'a'}", "chat_template_kwargs.chat_template")]
    [InlineData("'chat_template_kwargs': {'tokenize': true}", "chat_template_kwargs.tokenize")]
    [InlineData("'chat_template_kwargs': {'messages': []}", "chat_template_kwargs.messages")]
    [InlineData("'chat_template_kwargs': 1", "chat_template_kwargs")]
    public async Task Fault_17_no_template_comes_with_a_request(string field, string param) =>
        (await Server.Post(Chat,
            $$"""{"messages": [{"role": "user", "content": "a"}], {{field.Replace('\'', '"')}}}""")).Bad(400, param);

    // CVE-2026-21869: whole numbers of a request are used unchecked.
    [Theory]
    [InlineData(Completions, "'prompt': [99999999]", "prompt")]
    [InlineData(Completions, "'prompt': [-5]", "prompt")]
    [InlineData(Completions, "'prompt': 'a', 'max_tokens': -2147483648", "max_tokens")]
    [InlineData(Completions, "'prompt': 'a', 'top_k': -2", "top_k")]
    [InlineData(Completions, "'prompt': 'a', 'top_k': 9223372036854775807", "top_k")]
    [InlineData(Completions, "'prompt': 'a', 'seed': 9223372036854775808", "seed")]
    [InlineData(Completions, "'prompt': 'a', 'logprobs': -1", "logprobs")]
    [InlineData(Completions, "'prompt': 'a', 'stop_token_ids': [256]", "stop_token_ids")]
    [InlineData(Completions, "'prompt': 'a', 'frequency_penalty': 1e999", "frequency_penalty")]
    [InlineData(Completions, "'prompt': 'a', 'logit_bias': {'-1': 1}", "logit_bias")]
    [InlineData(Completions, "'prompt': 'a', 'logit_bias': {'1': 1e400}", "logit_bias.1")]
    [InlineData("/detokenize", "'tokens': [256]", "tokens")]
    [InlineData("/detokenize", "'tokens': [-1]", "tokens")]
    [InlineData("/detokenize", "'tokens': [1.5]", "tokens")]
    public async Task Fault_19_whole_numbers_are_checked(string path, string body, string param)
    {
        (await Server.Post(path, "{" + body.Replace('\'', '"') + "}")).Bad(400, param);
        (await Server.Post(Completions, new { prompt = "a", max_tokens = 1 })).Good();
    }

    // CVE-2025-6242: what a request names is fetched.
    [Fact]
    public async Task Fault_20_nothing_that_a_request_names_is_fetched()
    {
        using var trap = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        trap.Start();
        string address = $"http://{trap.LocalEndpoint}/a";
        (await Server.Post(Chat, new
        {
            messages = new object[]
            {
                new
                {
                    role = "user",
                    content = new object[] { new { type = "image_url", image_url = new { url = address } } },
                },
            },
        })).Bad(400);
        (await Server.Post("/v1/load_lora_adapter", new { lora_name = "a", lora_path = address })).Bad(403);
        (await Server.Post(Chat, new
        {
            messages = Hello, response_format = new
            {
                type = "json_schema",
                json_schema = new { name = "a", schema = new Dictionary<string, string> { ["$ref"] = address } },
            },
        })).Bad(400);
        Assert.False(trap.Pending());
    }

    // CVE-2026-22778: addresses of memory in errors.
    [Fact]
    public async Task Fault_20_errors_show_no_address_and_no_stack()
    {
        string[] bodies =
        [
            "", "[", "{", "null", "[]", "\"a\"", "{\"a\": 1", "{\"prompt\": \"\\ud800\"}", "{\"a\":1,\"a\":2}",
            """{"prompt": {"a": [[[[]]]]}}""", new string('[', 5000),
        ];
        foreach (string path in (string[])[Completions, Chat, "/v1/responses", "/v1/embeddings", "/tokenize"])
            foreach (string body in bodies)
            {
                Answer answer = (await Server.Post(path, body)).Bad(400);
                Assert.DoesNotMatch(@"0x[0-9a-fA-F]{4,}|   at |\.cs:|System\.|LowRank\.[A-Z]", answer.Text);
            }
    }
}
