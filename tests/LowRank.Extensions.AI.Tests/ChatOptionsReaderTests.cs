using System.Text.Json;
using LowRank.Generation;
using LowRank.Serving;
using Microsoft.Extensions.AI;

namespace LowRank.Extensions.AI.Tests;

/// <summary>What options become, and which are refused; without a model.</summary>
public sealed class ChatOptionsReaderTests
{
    private static readonly LowRankChatClient Client = new(_ => throw new NotSupportedException(), "base", null);

    [Fact]
    public void Without_options_the_likeliest_token_is_taken_up_to_the_end_of_the_context()
    {
        GenerationOptions read = Read(null);
        Assert.Equal((0, 1, 0, 0, 1), (read.Temperature, read.TopP, read.TopK, read.MinP, read.RepetitionPenalty));
        Assert.Equal(int.MaxValue, read.MaxNewTokens);
        Assert.Empty(read.StopStrings);
        Assert.Null(read.Constraint);
    }

    [Fact]
    public void Each_option_has_its_place()
    {
        GenerationOptions read = Read(new ChatOptions
        {
            Temperature = 0.5f, TopP = 0.25f, TopK = 9, Seed = 11, MaxOutputTokens = 7, FrequencyPenalty = 0.5f,
            PresencePenalty = -0.5f, StopSequences = ["a", "b"],
            AdditionalProperties = new()
            {
                ["min_p"] = 0.125, ["repetition_penalty"] = JsonElement.Parse("1.5"),
                ["logit_bias"] = new Dictionary<string, float> { ["3"] = -4 },
            },
        });
        Assert.Equal((0.5, 0.25, 9, 11L, 7),
            (read.Temperature, read.TopP, read.TopK, read.Seed, read.MaxNewTokens));
        Assert.Equal((0.5, -0.5, 0.125, 1.5),
            (read.FrequencyPenalty, read.PresencePenalty, read.MinP, read.RepetitionPenalty));
        Assert.Equal(["a", "b"], read.StopStrings);
        Assert.Equal([KeyValuePair.Create(3, -4.0)], read.LogitBias);
    }

    [Fact]
    public void A_cut_among_tokens_asks_for_drawing_and_none_is_needed_at_temperature_0()
    {
        Assert.Equal(1, Read(new ChatOptions { TopP = 0.9f }).Temperature);
        Assert.Equal(1, Read(new ChatOptions { TopK = 5 }).Temperature);
        Assert.Equal(1, Read(new ChatOptions { AdditionalProperties = new() { ["min_p"] = 0.1 } }).Temperature);
        Assert.Equal(0, Read(new ChatOptions { Seed = 5 }).Temperature);
        GenerationOptions greedy = Read(new ChatOptions { Temperature = 0, TopP = 0.9f, TopK = 5 });
        Assert.Equal((0, 1, 0), (greedy.Temperature, greedy.TopP, greedy.TopK));
        greedy.Validate();
    }

    [Fact]
    public void What_cannot_be_honoured_is_refused_by_name_and_all_at_once()
    {
        var options = new ChatOptions
        {
            ConversationId = "c", AllowBackgroundResponses = true, Reasoning = new ReasoningOptions(),
            ContinuationToken = ResponseContinuationToken.FromBytes(new byte[] { 1 }),
            Tools = [new HostedWebSearchTool()], StopSequences = [""],
            ToolMode = ChatToolMode.RequireSpecific("Find"),
            RawRepresentationFactory = _ => "text",
            AdditionalProperties = new()
            {
                ["mirostat"] = 2, ["min_p"] = "much", ["logit_bias"] = new[] { 1 }, ["chat_template_kwargs"] = 1,
                ["stream_options"] = new { include_usage = false },
            },
        };
        InputException refusal = Assert.Throws<InputException>(() => Read(options));
        string[] places =
            ["ChatOptions.ConversationId", "ChatOptions.AllowBackgroundResponses", "ChatOptions.Reasoning",
                "ChatOptions.ContinuationToken", "ChatOptions.Tools[0] is a HostedWebSearchTool",
                "ChatOptions.StopSequences", "ChatOptions.ToolMode requires a call of Find",
                "ChatOptions.RawRepresentationFactory gives a String", "AdditionalProperties[\"mirostat\"] is unknown",
                "AdditionalProperties[\"min_p\"] is \"much\"", "AdditionalProperties[\"logit_bias\"]",
                "AdditionalProperties[\"chat_template_kwargs\"]",
                "AdditionalProperties[\"stream_options\"] is {\"include_usage\":false}"];
        Assert.Equal(places.Length, refusal.Problems.Count);
        Assert.All(places, place => Assert.Single(refusal.Problems,
            problem => problem.StartsWith(place, StringComparison.Ordinal)));
    }

    [Fact]
    public void A_stream_may_be_asked_for_its_usage() => Read(new ChatOptions
    {
        AdditionalProperties = new()
        {
            ["stream_options"] = new Dictionary<string, object> { ["include_usage"] = true },
        },
    });

    [Fact]
    public void A_callers_request_has_precedence_where_it_differs_from_the_defaults()
    {
        var raw = new ServingRequest([])
        {
            LogProbs = 3, Generation = new GenerationOptions { Temperature = 0.25, StopStrings = ["x"] },
        };
        ChatAsk ask = ChatOptionsReader.Read(Client, new ChatOptions
        {
            Temperature = 1, TopP = 0.5f, StopSequences = ["y"], RawRepresentationFactory = _ => raw,
        });
        Assert.Equal((3, 0.25, 0.5),
            (ask.Request.LogProbs, ask.Request.Generation.Temperature, ask.Request.Generation.TopP));
        Assert.Equal(["x", "y"], ask.Request.Generation.StopStrings);
        foreach (ServingRequest wrong in new[] { raw with { Prompt = [1] }, raw with { Count = 2 } })
            Assert.Throws<InputException>(() =>
                ChatOptionsReader.Read(Client, new ChatOptions { RawRepresentationFactory = _ => wrong }));
    }

    [Fact]
    public void The_form_of_the_answer_is_a_constraint_or_is_refused_by_its_path()
    {
        Assert.Null(
            ChatOptionsReader.Read(Client, new ChatOptions { ResponseFormat = ChatResponseFormat.Text }).Format);
        Assert.NotNull(
            ChatOptionsReader.Read(Client, new ChatOptions { ResponseFormat = ChatResponseFormat.Json }).Format);
        ChatOptions Schema(string schema) =>
            new() { ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse(schema)) };
        Assert.NotNull(ChatOptionsReader.Read(Client, Schema("""{"type": "integer"}""")).Format);
        string problem = Assert.Single(Assert.Throws<InputException>(() =>
            ChatOptionsReader.Read(Client, Schema("""{"properties": {"a": {"type": "nothing"}}}"""))).Problems);
        Assert.Contains("ResponseFormat", problem, StringComparison.Ordinal);
        Assert.Contains("/properties/a", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Functions_are_declared_unless_they_may_not_be_called()
    {
        AIFunction add = AIFunctionFactory.Create((int a, int b) => a + b, "Add", "Adds.");
        AskedTools tools = ChatOptionsReader.Read(Client, new ChatOptions { Tools = [add] }).Tools!;
        Assert.True(tools.AllowsSeveral);
        string declared = tools.Declared.ToJsonString();
        Assert.Contains("\"name\":\"Add\",\"description\":\"Adds.\"", declared, StringComparison.Ordinal);
        Assert.Contains("\"a\":{\"type\":\"integer\"}", declared, StringComparison.Ordinal);
        Assert.Null(ChatOptionsReader.Read(Client,
            new ChatOptions { Tools = [add], ToolMode = ChatToolMode.None }).Tools);
        Assert.False(ChatOptionsReader.Read(Client,
            new ChatOptions { Tools = [add], AllowMultipleToolCalls = false }).Tools!.AllowsSeveral);
        Assert.Throws<InputException>(() =>
            ChatOptionsReader.Read(Client, new ChatOptions { ToolMode = ChatToolMode.RequireAny }));
    }

    private static GenerationOptions Read(ChatOptions? options) =>
        ChatOptionsReader.Read(Client, options).Request.Generation;
}
