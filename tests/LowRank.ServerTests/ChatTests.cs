using System.Text.Json;

namespace LowRank.ServerTests;

/// <summary>POST /v1/chat/completions.</summary>
[Collection(WriterFixture.Name)]
public sealed class ChatTests(WriterFixture fixture)
{
    private const string Path = "/v1/chat/completions";
    private static readonly object[] Hello = [new { role = "user", content = "Hello" }];
    private static readonly object[] Tools =
    [
        new
        {
            type = "function",
            function = new
            {
                name = "look",
                description = "Looks",
                parameters = new
                {
                    type = "object", properties = new { id = new { @enum = new[] { "a", "b" } } },
                    required = new[] { "id" },
                    additionalProperties = false,
                },
            },
        },
    ];

    private RunningServer Server => fixture.Server;

    /// <summary>Makes "&lt;/" likely, which begins the mark of the end of thoughts.</summary>
    internal static Dictionary<string, int> EndOfThoughts { get; } = new()
    {
        [$"{CompletionTests.Token('<')}"] = 5, [$"{CompletionTests.Token('/')}"] = 5,
    };

    // The text that the model has to write, which makes what is sent predictable.
    private static object Forced(string text) => new { choice = new[] { text } };

    [Fact]
    public async Task An_answer_is_what_OpenAI_would_send()
    {
        Answer answer = (await Server.Post(Path, new
        {
            model = "golden", messages = Hello, max_completion_tokens = 5, temperature = 0, n = 2,
        })).Good();
        OpenAiSchema.Validate("CreateChatCompletionResponse", answer.Json);
        Assert.Equal("golden", answer.Json.GetProperty("model").GetString());
        Assert.Equal(2, answer.Json.GetProperty("choices").GetArrayLength());
        JsonElement usage = answer.Json.GetProperty("usage");
        Assert.True(usage.GetProperty("prompt_tokens").GetInt32() > 10);
        Assert.InRange(usage.GetProperty("completion_tokens").GetInt32(), 2, 10);
        Assert.Equal(usage.GetProperty("prompt_tokens").GetInt32() + usage.GetProperty("completion_tokens").GetInt32(),
            usage.GetProperty("total_tokens").GetInt32());
        Assert.Equal(JsonValueKind.Number,
            usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").ValueKind);
    }

    [Fact]
    public async Task An_answer_continues_the_last_message_as_a_text_continues_its_prompt()
    {
        object[] begun = [.. Hello, new { role = "assistant", content = "One two" }];
        const string Prompt = "user:Hello\nassistant:One two";
        string text = (await Server.Post("/v1/completions",
            new { prompt = Prompt, max_tokens = 6, temperature = 0, ignore_eos = true })).Good().Written;
        foreach (bool? begins in (bool?[])[null, false])
            Assert.Equal(text, (await Server.Post(Path, JsonSerializer.Serialize(
                new
                {
                    messages = begun, max_tokens = 6, temperature = 0, ignore_eos = true,
                    continue_final_message = true, add_generation_prompt = begins,
                }))).Good().Content);
        (await Server.Post(Path, new { messages = begun, continue_final_message = true, add_generation_prompt = true }))
            .Bad(400, "add_generation_prompt", "invalid_value");
        (await Server.Post(Path, new { messages = Hello, add_generation_prompt = false }))
            .Bad(400, "add_generation_prompt", "invalid_value");
        (await Server.Post(Path, new { messages = Hello, add_generation_prompt = true, max_tokens = 1 })).Good();
    }

    [Fact]
    public async Task A_stream_has_the_role_first_one_id_and_the_reason_last()
    {
        JsonElement[] chunks = await Server.Chunks(Path, new
        {
            messages = Hello, stream = true, structured_outputs = Forced("Grüße 👋"),
            stream_options = new { include_usage = true },
        });
        Assert.All(chunks, chunk => OpenAiSchema.Validate("CreateChatCompletionStreamResponse", chunk));
        Assert.Single(chunks.Select(chunk => chunk.GetProperty("id").GetString()).Distinct());
        Assert.Single(chunks.Select(chunk => chunk.GetProperty("created").GetInt64()).Distinct());
        JsonElement[] deltas = [.. chunks.SkipLast(1).Select(chunk => chunk.GetProperty("choices")[0])];
        Assert.Equal("""{"role":"assistant","content":null}""", deltas[0].GetProperty("delta").GetRawText());
        Assert.Equal("Grüße 👋", Text(chunks));
        Assert.Equal("{}", deltas[^1].GetProperty("delta").GetRawText());
        Assert.Equal("stop", deltas[^1].GetProperty("finish_reason").GetString());
        Assert.All(deltas.SkipLast(1),
            delta => Assert.Equal(JsonValueKind.Null, delta.GetProperty("finish_reason").ValueKind));
        Assert.All(chunks.SkipLast(1), chunk => Assert.Equal(JsonValueKind.Null, chunk.GetProperty("usage").ValueKind));
        Assert.Equal(0, chunks[^1].GetProperty("choices").GetArrayLength());
        Assert.True(chunks[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32() >= 11);
    }

    [Fact]
    public async Task Without_being_asked_for_no_chunk_has_usage()
    {
        JsonElement[] chunks = await Server.Chunks(Path, new { messages = Hello, stream = true, max_tokens = 2 });
        Assert.All(chunks, chunk => Assert.False(chunk.TryGetProperty("usage", out _)));
    }

    [Fact]
    public async Task Several_texts_are_streamed_by_their_index()
    {
        JsonElement[] chunks = await Server.Chunks(Path, new
        {
            messages = Hello, stream = true, n = 3, max_tokens = 6, seed = 5,
            structured_outputs = new { regex = "[a-z]{4}" },
        });
        Answer whole = (await Server.Post(Path, new
        {
            messages = Hello, n = 3, max_tokens = 6, seed = 5, structured_outputs = new { regex = "[a-z]{4}" },
        })).Good();
        for (int index = 0; index < 3; index++)
        {
            JsonElement[] own = [.. chunks.Where(chunk =>
                chunk.GetProperty("choices")[0].GetProperty("index").GetInt32() == index)];
            Assert.Equal(whole.Json.GetProperty("choices")[index].GetProperty("message").GetProperty("content")
                .GetString(), Text(own));
            Assert.Equal("assistant",
                own[0].GetProperty("choices")[0].GetProperty("delta").GetProperty("role").GetString());
        }
    }

    [Fact]
    public async Task Log_probabilities_stand_beside_each_token()
    {
        object body = new
        {
            messages = Hello, logprobs = true, top_logprobs = 3, temperature = 0, max_tokens = 4,
            structured_outputs = Forced("äbc"),
        };
        Answer answer = (await Server.Post(Path, body)).Good();
        OpenAiSchema.Validate("CreateChatCompletionResponse", answer.Json);
        JsonElement[] tokens =
            [.. answer.Json.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content").EnumerateArray()];
        byte[] bytes = [.. tokens.SelectMany(token =>
            token.GetProperty("bytes").EnumerateArray().Select(value => (byte)value.GetInt32()))];
        Assert.Equal("äbc"u8.ToArray(), bytes);
        Assert.All(tokens, token => Assert.Equal(3, token.GetProperty("top_logprobs").GetArrayLength()));
        Assert.All(tokens, token => Assert.InRange(token.GetProperty("logprob").GetDouble(), -9999, 0));
    }

    [Fact]
    public async Task Log_probabilities_of_a_stream_are_those_of_the_whole()
    {
        string Body(bool stream) => JsonSerializer.Serialize(new
        {
            messages = Hello, stream, logprobs = true, top_logprobs = 1, temperature = 0, max_tokens = 12,
        });
        JsonElement[] chunks = await Server.Chunks(Path, Body(true));
        Assert.All(chunks, chunk => OpenAiSchema.Validate("CreateChatCompletionStreamResponse", chunk));
        Answer whole = (await Server.Post(Path, Body(false))).Good();
        string[] streamed = [.. chunks.Select(chunk => chunk.GetProperty("choices")[0].GetProperty("logprobs"))
            .Where(scores => scores.ValueKind == JsonValueKind.Object)
            .SelectMany(scores => scores.GetProperty("content").EnumerateArray()).Select(token => token.GetRawText())];
        Assert.NotEmpty(streamed);
        Assert.Equal(whole.Json.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content")
            .EnumerateArray().Select(token => token.GetRawText()), streamed);
        Assert.Equal(whole.Content, Text(chunks));
    }

    [Fact]
    public async Task Thoughts_come_beside_the_words_whole_and_streamed()
    {
        using var models = new TinyModels();
        await using RunningServer thinker = await RunningServer.Start(RunningServer.Options(models.Thinker));
        object Body(bool stream) => new
        {
            messages = Hello, stream, seed = 4, logit_bias = EndOfThoughts, structured_outputs = Forced("An inn."),
        };
        Answer whole = (await thinker.Post(Path, Body(false))).Good();
        Assert.Equal("An inn.", whole.Content);
        string thought = whole.Json.GetProperty("choices")[0].GetProperty("message").GetProperty("reasoning_content")
            .GetString()!;
        Assert.NotEqual("", thought);
        JsonElement[] chunks = await thinker.Chunks(Path, Body(true));
        Assert.Equal("An inn.", Text(chunks));
        Assert.Equal(thought, string.Concat(chunks.Select(chunk => chunk.GetProperty("choices")[0].GetProperty("delta"))
            .Select(delta => delta.TryGetProperty("reasoning_content", out JsonElement part) ? part.GetString() : "")));
    }

    [Fact]
    public async Task A_schema_decides_what_is_written()
    {
        Answer answer = (await Server.Post(Path, new
        {
            messages = Hello,
            response_format = new
            {
                type = "json_schema",
                json_schema = new
                {
                    name = "place", strict = true, schema = new
                    {
                        type = "object", properties = new { kind = new { @enum = new[] { "inn", "hotel" } } },
                        required = new[] { "kind" }, additionalProperties = false,
                    },
                },
            },
        })).Good();
        Assert.Contains(Answer.Parse(answer.Content).GetProperty("kind").GetString(), new[] { "inn", "hotel" });
        Assert.Equal("stop", answer.Json.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Theory]
    [InlineData("required")]
    [InlineData("named")]
    public async Task A_tool_that_has_to_be_called_is_called(string choice)
    {
        object chosen = choice == "required" ? choice : new { type = "function", function = new { name = "look" } };
        Answer answer = (await Server.Post(Path, new
        {
            messages = Hello, tools = Tools, tool_choice = chosen, parallel_tool_calls = false, max_tokens = 200,
        })).Good();
        OpenAiSchema.Validate("CreateChatCompletionResponse", answer.Json);
        JsonElement made = answer.Json.GetProperty("choices")[0];
        Assert.Equal("tool_calls", made.GetProperty("finish_reason").GetString());
        JsonElement call = made.GetProperty("message").GetProperty("tool_calls")[0];
        Assert.Equal("look", call.GetProperty("function").GetProperty("name").GetString());
        string arguments = call.GetProperty("function").GetProperty("arguments").GetString()!;
        Assert.Contains(Answer.Parse(arguments).GetProperty("id").GetString(), new[] { "a", "b" });
        Assert.Equal(JsonValueKind.Null, made.GetProperty("message").GetProperty("content").ValueKind);
    }

    [Fact]
    public async Task A_call_is_streamed_with_its_id_type_and_name_once()
    {
        JsonElement[] chunks = await Server.Chunks(Path, new
        {
            messages = Hello, tools = Tools, tool_choice = "required", parallel_tool_calls = false, stream = true,
            max_tokens = 200,
        });
        Assert.All(chunks, chunk => OpenAiSchema.Validate("CreateChatCompletionStreamResponse", chunk));
        JsonElement[] deltas = [.. chunks.Select(chunk => chunk.GetProperty("choices")[0].GetProperty("delta"))
            .Where(delta => delta.TryGetProperty("tool_calls", out _))
            .Select(delta => delta.GetProperty("tool_calls")[0])];
        Assert.All(deltas, delta => Assert.Equal(0, delta.GetProperty("index").GetInt32()));
        Assert.Equal("function", deltas[0].GetProperty("type").GetString());
        Assert.Equal("look", deltas[0].GetProperty("function").GetProperty("name").GetString());
        Assert.All(deltas.Skip(1), delta => Assert.False(delta.TryGetProperty("id", out _)));
        string arguments = string.Concat(
            deltas.Select(delta => delta.GetProperty("function").GetProperty("arguments").GetString()));
        Assert.Contains(Answer.Parse(arguments).GetProperty("id").GetString(), new[] { "a", "b" });
        Assert.Equal("tool_calls", chunks[^1].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task Where_no_tool_may_be_called_the_model_sees_none()
    {
        async Task<int> Read(object body) => (await Server.Post(Path, body)).Good().Json.GetProperty("usage")
            .GetProperty("prompt_tokens").GetInt32();
        int plain = await Read(new { messages = Hello, max_tokens = 1 });
        Assert.Equal(plain, await Read(new { messages = Hello, tools = Tools, tool_choice = "none", max_tokens = 1 }));
        Assert.True(
            plain < await Read(new { messages = Hello, tools = Tools, tool_choice = "auto", max_tokens = 1 }));
    }

    [Fact]
    public async Task What_is_known_of_a_prompt_is_counted_whole_and_streamed()
    {
        object Body(bool stream) => new
        {
            messages = new[] { new { role = "user", content = new string('k', 100) + "known" } },
            max_tokens = 1, stream,
            stream_options = stream ? new { include_usage = true } : null,
        };
        int Cached(JsonElement answer) => answer.GetProperty("usage").GetProperty("prompt_tokens_details")
            .GetProperty("cached_tokens").GetInt32();
        Assert.Equal(0, Cached((await Server.Post(Path, Body(false))).Good().Json));
        int known = Cached((await Server.Post(Path, Body(false))).Good().Json);
        Assert.InRange(known, 16, 120);
        Assert.Equal(known, Cached((await Server.Chunks(Path, Body(true)))[^1]));
    }

    [Fact]
    public async Task What_is_too_much_is_refused()
    {
        string long257 = new('a', 257), large = new('a', 300_000);
        object Tool(int number, string text) => new
            { type = "function", function = new { name = $"f{number}", description = text } };
        (object Field, string Param, string Code)[] cases =
        [
            (new { messages = Hello, stop = long257 }, "stop", "invalid_value"),
            (new { messages = Enumerable.Repeat(Hello[0], 4097) }, "messages", "too_many"),
            (new { messages = Hello, logit_bias = Enumerable.Range(0, 1025).ToDictionary(id => $"{id}", _ => 1) },
                "logit_bias", "too_many"),
            (new { messages = Hello, tools = Enumerable.Range(0, 129).Select(number => Tool(number, "")) }, "tools",
                "too_many"),
            (new { messages = Hello, tools = new[] { Tool(0, large) } }, "tools", "too_long"),
            (new { messages = Hello, structured_outputs = new { regex = large } }, "structured_outputs.regex",
                "too_long"),
            (new { messages = Hello, structured_outputs = new { choice = new[] { large } } },
                "structured_outputs.choice", "too_long"),
            (new { messages = Hello, structured_outputs = new { json = new { description = large } } },
                "structured_outputs.json", "too_long"),
            (new { messages = Hello, stop_token_ids = new int[65] }, "stop_token_ids", "too_many"),
            (new { messages = Hello, lora = Enumerable.Repeat(new { id = 0 }, 65) }, "lora", "too_many"),
        ];
        foreach ((object body, string param, string code) in cases)
            (await Server.Post(Path, body)).Bad(400, param, code);
    }

    [Fact]
    public async Task A_conversation_may_have_calls_and_their_results()
    {
        Answer answer = (await Server.Post(Path, new
        {
            messages = new object[]
            {
                new { role = "system", content = "Be brief." }, Hello[0],
                new
                {
                    role = "assistant", content = (string?)null, tool_calls = new[]
                    {
                        new
                        {
                            id = "call00001", type = "function",
                            function = new { name = "look", arguments = "{\"id\":\"a\"}" },
                        },
                    },
                },
                new { role = "tool", tool_call_id = "call00001", content = "A door." },
            },
            tools = Tools, max_tokens = 3,
        })).Good();
        Assert.Equal("length", answer.Json.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    // The body without its outer braces, the field that is wrong, and the code.
    [Theory]
    [InlineData("", "messages", "missing_required_parameter")]
    [InlineData("'messages': []", "messages", "invalid_value")]
    [InlineData("'messages': 'a'", "messages", "invalid_value")]
    [InlineData("'messages': [1]", "messages[0]", "invalid_value")]
    [InlineData("M, 'temperature': 3", "temperature", "invalid_value")]
    [InlineData("M, 'temperature': 'hot'", "temperature", "invalid_value")]
    [InlineData("M, 'top_p': 1.5", "top_p", "invalid_value")]
    [InlineData("M, 'n': 0", "n", "invalid_value")]
    [InlineData("M, 'n': 100000", "n", "invalid_value")]
    [InlineData("M, 'max_tokens': -1", "max_tokens", "invalid_value")]
    [InlineData("M, 'max_tokens': 0", "max_tokens", "invalid_value")]
    [InlineData("M, 'max_tokens': 1.5", "max_tokens", "invalid_value")]
    [InlineData("M, 'max_tokens': 99999999999", "max_tokens", "invalid_value")]
    [InlineData("M, 'max_tokens': 3, 'max_completion_tokens': 4", "max_tokens", "invalid_value")]
    [InlineData("M, 'top_logprobs': 21, 'logprobs': true", "top_logprobs", "invalid_value")]
    [InlineData("M, 'top_logprobs': 2", "top_logprobs", "invalid_value")]
    [InlineData("M, 'stop': ['a','a','a','a','a','a','a','a','a','a','a','a','a','a','a','a','a']", "stop", "too_many")]
    [InlineData("M, 'stop': ''", "stop", "invalid_value")]
    [InlineData("M, 'logit_bias': {'9999999': 1}", "logit_bias", "invalid_value")]
    [InlineData("M, 'logit_bias': {'5': 101}", "logit_bias.5", "invalid_value")]
    [InlineData("M, 'logit_bias': [1]", "logit_bias", "invalid_value")]
    [InlineData("M, 'stream_options': {'include_usage': true}", "stream_options", "invalid_value")]
    [InlineData("M, 'response_format': {'type': 'xml'}", "response_format.type", "invalid_value")]
    [InlineData("M, 'tool_choice': 'required'", "tool_choice", "invalid_value")]
    [InlineData("M, 'tools': [{'type': 'retrieval'}]", "tools[0].type", "invalid_value")]
    [InlineData("M, 'store': true", "store", "invalid_value")]
    [InlineData("M, 'functions': []", "functions", "unsupported_parameter")]
    [InlineData("M, 'chat_template': '{{ 1 }}'", "chat_template", "unsupported_parameter")]
    [InlineData("M, 'best_of': 2", "best_of", "unknown_parameter")]
    [InlineData("M, 'seed': 1e30", "seed", "invalid_value")]
    [InlineData("M, 'lora': [{'id': 9, 'scale': 1}]", "lora[0].id", "invalid_value")]
    [InlineData("M, 'lora': [{'id': 'golden', 'scale': 'big'}]", "lora[0].scale", "invalid_value")]
    public async Task What_cannot_be_honoured_is_refused_by_its_field(string body, string param, string code)
    {
        string json = "{" + body
            .Replace("M,", "'messages': [{'role': 'user', 'content': 'a'}],", StringComparison.Ordinal)
            .Replace('\'', '"') + "}";
        (await Server.Post(Path, json)).Bad(400, param, code);
    }

    [Fact]
    public async Task All_problems_are_told_at_once()
    {
        Answer answer = (await Server.Post(Path, new { n = 0, temperature = 9, mystery = 1 })).Bad(400);
        string message = answer.Error.GetProperty("message").GetString()!;
        foreach (string field in (string[])["`n`", "`temperature`", "`mystery`", "`messages`"])
            Assert.Contains(field, message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_prompt_that_fills_the_context_is_refused_and_a_long_answer_is_cut()
    {
        (await Server.Post(Path, new
        {
            messages = new[] { new { role = "user", content = new string('a', TinyModels.Context) } },
        })).Bad(400, "messages", "context_length_exceeded");
        string full = new('a', TinyModels.Context);
        (await Server.Post("/v1/completions", new { prompt = full })).Bad(400, "prompt", "context_length_exceeded");
        (await Server.Post("/v1/responses", new { input = full })).Bad(400, "input", "context_length_exceeded");
        Answer cut = (await Server.Post(Path, new
        {
            messages = Hello, max_tokens = 1_000_000, ignore_eos = true, temperature = 0,
        })).Good();
        JsonElement usage = cut.Json.GetProperty("usage");
        Assert.InRange(usage.GetProperty("total_tokens").GetInt32(), TinyModels.Context - 1, TinyModels.Context + 1);
        Assert.Equal("length", cut.Json.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task A_model_that_is_not_there_is_not_found() =>
        (await Server.Post(Path, new { model = "nobody", messages = Hello })).Bad(404, "model", "model_not_found");

    [Fact]
    public async Task Adapters_can_be_chosen_by_name_and_factor()
    {
        async Task<string> Say(object body) => (await Server.Post(Path, body)).Good().Json.GetProperty("choices")
            .GetRawText();
        string golden = await Say(new { model = "golden", messages = Hello, temperature = 0, max_tokens = 24,
            logprobs = true });
        Assert.Equal(golden, await Say(new
        {
            messages = Hello, temperature = 0, max_tokens = 24, logprobs = true,
            lora = new[] { new { id = "golden", scale = 1 } },
        }));
        Assert.Equal(golden, await Say(new
        {
            messages = Hello, temperature = 0, max_tokens = 24, logprobs = true,
            lora = new[] { new { id = 0, scale = 1.0 } },
        }));
        Assert.NotEqual(golden, await Say(new
        {
            messages = Hello, temperature = 0, max_tokens = 24, logprobs = true,
            lora = new[] { new { id = "golden", scale = 0.5 } },
        }));
        string plain = await Say(new { messages = Hello, temperature = 0, max_tokens = 24, logprobs = true });
        Assert.NotEqual(golden, plain);
        Assert.Equal(plain, await Say(new
        {
            messages = Hello, temperature = 0, max_tokens = 24, logprobs = true,
            lora = new[] { new { id = "golden", scale = 0 } },
        }));
    }

    internal static string Text(IEnumerable<JsonElement> chunks) => string.Concat(chunks
        .Where(chunk => chunk.GetProperty("choices").GetArrayLength() > 0)
        .Select(chunk => chunk.GetProperty("choices")[0].GetProperty("delta"))
        .Select(delta => delta.TryGetProperty("content", out JsonElement content) ? content.GetString() : ""));
}
