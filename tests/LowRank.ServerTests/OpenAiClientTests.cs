using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json;
using LowRank.Server;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;
using OpenAI.Models;

namespace LowRank.ServerTests;

/// <summary>OpenAI's own client for .NET.</summary>
[Collection(WriterFixture.Name)]
public sealed class OpenAiClientTests(WriterFixture fixture)
{
    private static readonly ChatTool Look = ChatTool.CreateFunctionTool("look", "Looks", BinaryData.FromString("""
        {"type": "object", "properties": {"id": {"enum": ["a", "b"]}}, "required": ["id"], "additionalProperties": false}
        """), functionSchemaIsStrict: true);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private ChatClient Chat => Client().GetChatClient("golden");

    [Fact]
    public async Task It_chats()
    {
        ChatCompletion completion = await Chat.CompleteChatAsync(
            [new SystemChatMessage("Be brief."), new UserChatMessage("Hello")],
            new ChatCompletionOptions
            {
                MaxOutputTokenCount = 6, Temperature = 0, IncludeLogProbabilities = true, TopLogProbabilityCount = 2,
            }, Cancellation);
        Assert.Equal("golden", completion.Model);
        Assert.Equal(ChatFinishReason.Length, completion.FinishReason);
        Assert.Equal(6, completion.Usage.OutputTokenCount);
        Assert.Equal(6, completion.ContentTokenLogProbabilities.Count);
    }

    [Fact]
    public async Task It_streams()
    {
        string text = "";
        ChatTokenUsage? usage = null;
        ChatFinishReason? reason = null;
        await foreach (StreamingChatCompletionUpdate update in Chat.CompleteChatStreamingAsync(
            [new UserChatMessage("Hello")], new ChatCompletionOptions { MaxOutputTokenCount = 6, Temperature = 0 },
            Cancellation))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            usage = update.Usage ?? usage;
            reason = update.FinishReason ?? reason;
        }
        ChatCompletion whole = await Chat.CompleteChatAsync([new UserChatMessage("Hello")],
            new ChatCompletionOptions { MaxOutputTokenCount = 6, Temperature = 0 }, Cancellation);
        Assert.Equal(string.Concat(whole.Content.Select(part => part.Text)), text);
        Assert.Equal((6, ChatFinishReason.Length), (usage!.OutputTokenCount, reason!.Value));
    }

    [Fact]
    public async Task It_has_tools_called_whole_and_streamed()
    {
        var options = new ChatCompletionOptions
        {
            Tools = { Look }, ToolChoice = ChatToolChoice.CreateFunctionChoice("look"), AllowParallelToolCalls = false,
            MaxOutputTokenCount = 200,
        };
        ChatCompletion completion = await Chat.CompleteChatAsync([new UserChatMessage("Look")], options, Cancellation);
        Assert.Equal(ChatFinishReason.ToolCalls, completion.FinishReason);
        ChatToolCall call = Assert.Single(completion.ToolCalls);
        Assert.Equal("look", call.FunctionName);
        Assert.Contains(JsonDocument.Parse(call.FunctionArguments).RootElement.GetProperty("id").GetString(),
            new[] { "a", "b" });
        string arguments = "";
        await foreach (StreamingChatCompletionUpdate update in
            Chat.CompleteChatStreamingAsync([new UserChatMessage("Look")], options, Cancellation))
            foreach (StreamingChatToolCallUpdate part in update.ToolCallUpdates)
                arguments += part.FunctionArgumentsUpdate?.ToString();
        Assert.NotNull(JsonDocument.Parse(arguments));
        ChatCompletion next = await Chat.CompleteChatAsync(
            [
                new UserChatMessage("Look"), new AssistantChatMessage(completion),
                new ToolChatMessage(call.Id, "A door."),
            ],
            new ChatCompletionOptions { Tools = { Look }, MaxOutputTokenCount = 3 }, Cancellation);
        Assert.Equal(ChatFinishReason.Length, next.FinishReason);
    }

    [Fact]
    public async Task It_has_a_schema_followed()
    {
        ChatCompletion completion = await Chat.CompleteChatAsync([new UserChatMessage("Hello")],
            new ChatCompletionOptions
            {
                ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("kind", BinaryData.FromString("""
                    {"type": "object", "properties": {"kind": {"enum": ["inn", "hotel"]}}, "required": ["kind"],
                     "additionalProperties": false}
                    """), jsonSchemaIsStrict: true),
            }, Cancellation);
        Assert.Contains(JsonDocument.Parse(completion.Content[0].Text).RootElement.GetProperty("kind").GetString(),
            new[] { "inn", "hotel" });
    }

    [Fact]
    public async Task It_embeds_and_lists_models()
    {
        OpenAIEmbeddingCollection vectors = await Client().GetEmbeddingClient("writer")
            .GenerateEmbeddingsAsync(["a", "b c"], cancellationToken: Cancellation);
        Assert.All(vectors, vector =>
            Assert.Equal(1, vector.ToFloats().ToArray().Sum(value => (double)value * value), 1e-5));
        OpenAIModelCollection models = await Client().GetOpenAIModelClient().GetModelsAsync(Cancellation);
        Assert.Equal(["writer", "golden", "trained"], models.Select(model => model.Id));
    }

    [Fact]
    public async Task It_shows_errors_with_their_code()
    {
        ClientResultException unknown = await Assert.ThrowsAsync<ClientResultException>(() =>
            Client().GetChatClient("nobody").CompleteChatAsync([new UserChatMessage("a")], null, Cancellation));
        Assert.Equal(404, unknown.Status);
        Assert.Contains("model_not_found", unknown.Message, StringComparison.Ordinal);
        ClientResultException wrong = await Assert.ThrowsAsync<ClientResultException>(() => Chat.CompleteChatAsync(
            [new UserChatMessage("a")], new ChatCompletionOptions { Temperature = 5 }, Cancellation));
        Assert.Equal(400, wrong.Status);
        Assert.Contains("Parameter: temperature", wrong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_cancels()
    {
        using var leaving = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (StreamingChatCompletionUpdate update in Chat.CompleteChatStreamingAsync(
                [new UserChatMessage("Hello")], new ChatCompletionOptions { MaxOutputTokenCount = 400 }, leaving.Token))
                await leaving.CancelAsync();
        });
        await LifeTests.Until(async () => await LifeTests.Metric(fixture.Server, "lowrank_requests_running") == 0);
    }

    [Fact]
    public async Task It_shows_its_key()
    {
        using var models = new TinyModels();
        await using RunningServer guarded = await RunningServer.Start(
            RunningServer.Options(models.Encoder) with { ApiKeys = ["sk-right"] });
        Assert.Single(await new OpenAIClient(new ApiKeyCredential("sk-right"), Options(guarded))
            .GetOpenAIModelClient().GetModelsAsync(Cancellation) is { Value: var list } ? list : null!);
        ClientResultException refused = await Assert.ThrowsAsync<ClientResultException>(() =>
            new OpenAIClient(new ApiKeyCredential("sk-wrong"), Options(guarded)).GetOpenAIModelClient()
                .GetModelsAsync(Cancellation));
        Assert.Equal(401, refused.Status);
        Assert.Contains("invalid_api_key", refused.Message, StringComparison.Ordinal);
    }

    private OpenAIClient Client() => new(new ApiKeyCredential("none"), Options(fixture.Server));

    private static OpenAIClientOptions Options(RunningServer server) => new()
    {
        Endpoint = new Uri(server.Http.BaseAddress!, "v1"), RetryPolicy = new ClientRetryPolicy(0),
        NetworkTimeout = Timeout.InfiniteTimeSpan,
    };
}
