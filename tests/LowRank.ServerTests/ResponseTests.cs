using System.Text.Json;

namespace LowRank.ServerTests;

/// <summary>POST /v1/responses.</summary>
[Collection(WriterFixture.Name)]
public sealed class ResponseTests(WriterFixture fixture)
{
    private const string Path = "/v1/responses";

    private static readonly Dictionary<string, string> Schemas = new()
    {
        ["response.created"] = "ResponseCreatedEvent", ["response.in_progress"] = "ResponseInProgressEvent",
        ["response.output_item.added"] = "ResponseOutputItemAddedEvent",
        ["response.content_part.added"] = "ResponseContentPartAddedEvent",
        ["response.output_text.delta"] = "ResponseTextDeltaEvent",
        ["response.output_text.done"] = "ResponseTextDoneEvent",
        ["response.content_part.done"] = "ResponseContentPartDoneEvent",
        ["response.output_item.done"] = "ResponseOutputItemDoneEvent",
        ["response.function_call_arguments.delta"] = "ResponseFunctionCallArgumentsDeltaEvent",
        ["response.function_call_arguments.done"] = "ResponseFunctionCallArgumentsDoneEvent",
        ["response.reasoning_text.delta"] = "ResponseReasoningTextDeltaEvent",
        ["response.reasoning_text.done"] = "ResponseReasoningTextDoneEvent",
        ["response.completed"] = "ResponseCompletedEvent", ["response.incomplete"] = "ResponseIncompleteEvent",
        ["response.failed"] = "ResponseFailedEvent",
    };

    private static readonly object[] Tools =
    [
        new
        {
            type = "function", name = "look", strict = true, parameters = new
            {
                type = "object", properties = new { id = new { @enum = new[] { "a", "b" } } },
                required = new[] { "id" },
                additionalProperties = false,
            },
        },
    ];

    private RunningServer Server => fixture.Server;

    [Fact]
    public async Task An_answer_is_what_OpenAI_would_send()
    {
        Answer answer = (await Server.Post(Path, new
        {
            model = "golden", instructions = "Be brief.", input = "Hello", max_output_tokens = 6, temperature = 0,
            metadata = new { purpose = "test" }, top_logprobs = 1, include = new[] { "message.output_text.logprobs" },
        })).Good();
        OpenAiSchema.Validate("Response", answer.Json);
        Assert.Equal("incomplete", answer.Json.GetProperty("status").GetString());
        Assert.Equal("max_output_tokens",
            answer.Json.GetProperty("incomplete_details").GetProperty("reason").GetString());
        Assert.Equal(6, answer.Json.GetProperty("usage").GetProperty("output_tokens").GetInt32());
        Assert.Equal("test", answer.Json.GetProperty("metadata").GetProperty("purpose").GetString());
    }

    [Fact]
    public async Task A_stream_is_numbered_and_ends_with_the_whole()
    {
        (string? Name, JsonElement Data)[] events = await Events(new
        {
            input = "Hello", stream = true, temperature = 0, max_output_tokens = 8, ignore_eos = true,
        });
        Assert.Equal("response.created", events[0].Name);
        Assert.Equal("response.incomplete", events[^1].Name);
        JsonElement last = events[^1].Data.GetProperty("response");
        string whole = last.GetProperty("output")[0].GetProperty("content")[0].GetProperty("text").GetString()!;
        Assert.Equal(whole, string.Concat(events.Where(one => one.Name == "response.output_text.delta")
            .Select(one => one.Data.GetProperty("delta").GetString())));
        Answer unstreamed = (await Server.Post(Path, new
        {
            input = "Hello", temperature = 0, max_output_tokens = 8, ignore_eos = true,
        })).Good();
        Assert.Equal(whole,
            unstreamed.Json.GetProperty("output")[0].GetProperty("content")[0].GetProperty("text").GetString());
    }

    [Fact]
    public async Task A_conversation_is_sent_whole_with_its_calls()
    {
        Answer answer = (await Server.Post(Path, new
        {
            input = new object[]
            {
                new { role = "user", content = new[] { new { type = "input_text", text = "Look" } } },
                new { type = "function_call", call_id = "call00001", name = "look", arguments = "{\"id\":\"a\"}" },
                new { type = "function_call_output", call_id = "call00001", output = "A door." },
            },
            tools = Tools, max_output_tokens = 3,
        })).Good();
        OpenAiSchema.Validate("Response", answer.Json);
    }

    [Fact]
    public async Task A_tool_that_has_to_be_called_is_called()
    {
        object body(bool stream) => new
        {
            input = "Look", tools = Tools, tool_choice = "required", parallel_tool_calls = false, stream,
            max_output_tokens = 200,
        };
        Answer answer = (await Server.Post(Path, body(false))).Good();
        OpenAiSchema.Validate("Response", answer.Json);
        JsonElement call = Assert.Single(answer.Json.GetProperty("output").EnumerateArray().ToArray());
        Assert.Equal(("function_call", "look"),
            (call.GetProperty("type").GetString(), call.GetProperty("name").GetString()));
        (string? Name, JsonElement Data)[] events = await Events(body(true));
        JsonElement done = events.Single(one => one.Name == "response.function_call_arguments.done").Data;
        Assert.Equal(done.GetProperty("arguments").GetString(), string.Concat(events
            .Where(one => one.Name == "response.function_call_arguments.delta")
            .Select(one => one.Data.GetProperty("delta").GetString())));
        Assert.Equal("response.completed", events[^1].Name);
    }

    [Fact]
    public async Task A_schema_decides_what_is_written()
    {
        Answer answer = (await Server.Post(Path, new
        {
            input = "Hello", text = new
            {
                format = new
                {
                    type = "json_schema", name = "kind", strict = true, schema = new
                    {
                        type = "object", properties = new { kind = new { @const = "inn" } },
                        required = new[] { "kind" },
                        additionalProperties = false,
                    },
                },
            },
        })).Good();
        string text = answer.Json.GetProperty("output")[0].GetProperty("content")[0].GetProperty("text").GetString()!;
        Assert.Equal("inn", Answer.Parse(text).GetProperty("kind").GetString());
    }

    // The words have to be JSON, and thoughts may come before: the bias makes the mark of their end likely.
    [Fact]
    public async Task Thoughts_are_an_item_before_the_words_whole_and_streamed()
    {
        using var models = new TinyModels();
        await using RunningServer thinker = await RunningServer.Start(RunningServer.Options(models.Thinker));
        object Body(bool stream, int most) => new
        {
            input = "Hello", stream, seed = 4, max_output_tokens = most, logit_bias = ChatTests.EndOfThoughts,
            text = new
            {
                format = new { type = "json_schema", name = "kind", schema = new { @const = "inn" } },
            },
            include = new[] { "message.output_text.logprobs" },
        };
        JsonElement whole = (await thinker.Post(Path, Body(false, 400))).Good().Json;
        OpenAiSchema.Validate("Response", whole);
        JsonElement[] items = [.. whole.GetProperty("output").EnumerateArray()];
        Assert.Equal(["reasoning", "message"], items.Select(item => item.GetProperty("type").GetString()));
        Assert.All(items, item => Assert.Equal("completed", item.GetProperty("status").GetString()));
        string thought = items[0].GetProperty("content")[0].GetProperty("text").GetString()!;
        Assert.NotEqual("", thought);
        JsonElement words = items[1].GetProperty("content")[0];
        Assert.Equal("\"inn\"", words.GetProperty("text").GetString());
        Assert.Equal("\"inn\"", string.Concat(words.GetProperty("logprobs").EnumerateArray()
            .Select(token => token.GetProperty("token").GetString()))); // no mark of the thoughts' end
        Assert.InRange(whole.GetProperty("usage").GetProperty("output_tokens_details").GetProperty("reasoning_tokens")
            .GetInt32(), 1, whole.GetProperty("usage").GetProperty("output_tokens").GetInt32() - 5);

        (string? Name, JsonElement Data)[] events = await Events(Body(true, 400), thinker);
        string Deltas(string name) => string.Concat(events.Where(one => one.Name == name)
            .Select(one => one.Data.GetProperty("delta").GetString()));
        Assert.Equal(thought, Deltas("response.reasoning_text.delta"));
        Assert.Equal("\"inn\"", Deltas("response.output_text.delta"));
        JsonElement last = events[^1].Data.GetProperty("response");
        Assert.Equal(words.GetRawText(),
            last.GetProperty("output")[1].GetProperty("content")[0].GetRawText());

        JsonElement cut = (await thinker.Post(Path, Body(false, 2))).Good().Json;
        OpenAiSchema.Validate("Response", cut);
        JsonElement only = Assert.Single(cut.GetProperty("output").EnumerateArray().ToArray());
        Assert.Equal(("reasoning", "incomplete"),
            (only.GetProperty("type").GetString(), only.GetProperty("status").GetString()));
    }

    [Fact]
    public async Task An_adapter_that_is_unloaded_while_it_thinks_ends_its_response()
    {
        using var models = new TinyModels();
        await using RunningServer thinker = await RunningServer.Start(
            RunningServer.Options(models.Thinker, ("hotels", models.Adapter)));
        using var request = new HttpRequestMessage(HttpMethod.Post, Path)
        {
            Content = new StringContent(JsonSerializer.Serialize(new
            {
                model = "hotels", input = "Hello", stream = true, ignore_eos = true, max_output_tokens = 40,
            })),
        };
        using HttpResponseMessage response = await LifeTests.Amid(
            thinker, request, () => thinker.Server.Host.Served!.Engine!.RemoveAdapterAsync("hotels"));
        string last = (await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Split('\n')
            .Last(line => line.StartsWith("data: ", StringComparison.Ordinal));
        JsonElement ended = Answer.Parse(last["data: ".Length..]);
        Assert.Equal("response.incomplete", ended.GetProperty("type").GetString());
        Assert.NotEqual(0, ended.GetProperty("response").GetProperty("usage").GetProperty("output_tokens_details")
            .GetProperty("reasoning_tokens").GetInt32());
        Assert.Empty(thinker.Server.Host.Served!.Engine!.Adapters);
    }

    [Theory]
    [InlineData("{}", "input")]
    [InlineData("{'input': []}", "input")]
    [InlineData("{'input': 'a', 'previous_response_id': 'resp_1'}", "previous_response_id")]
    [InlineData("{'input': 'a', 'conversation': 'c'}", "conversation")]
    [InlineData("{'input': 'a', 'store': true}", "store")]
    [InlineData("{'input': 'a', 'background': true}", "background")]
    [InlineData("{'input': 'a', 'truncation': 'auto'}", "truncation")]
    [InlineData("{'input': 'a', 'tools': [{'type': 'web_search'}]}", "tools[0].type")]
    [InlineData("{'input': [{'type': 'item_reference', 'id': 'a'}]}", "input[0].type")]
    [InlineData(
        "{'input': [{'role': 'user', 'content': [{'type': 'input_image', 'image_url': 'x'}]}]}",
        "input[0].content[0].type")]
    [InlineData("{'input': 'a', 'n': 2}", "n")]
    [InlineData("{'input': 'a', 'reasoning': {'effort': 'high'}}", "reasoning.effort")]
    public async Task What_needs_a_store_or_is_not_there_is_refused(string body, string param) =>
        (await Server.Post(Path, body.Replace('\'', '"'))).Bad(400, param);

    private async Task<(string? Name, JsonElement Data)[]> Events(object body, RunningServer? other = null)
    {
        (string? Name, JsonElement Data)[] events =
            [.. (await (other ?? Server).Stream(Path, body)).Select(one => (one.Name, Answer.Parse(one.Data)))];
        foreach ((int number, (string? name, JsonElement data)) in events.Index())
        {
            Assert.Equal(name, data.GetProperty("type").GetString());
            Assert.Equal(number, data.GetProperty("sequence_number").GetInt32());
            OpenAiSchema.Validate(Schemas[name!], data);
        }
        return events;
    }
}
