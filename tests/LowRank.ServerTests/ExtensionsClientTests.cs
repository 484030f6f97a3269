using System.ClientModel;
using System.ClientModel.Primitives;
using Microsoft.Extensions.AI;
using OpenAI;

namespace LowRank.ServerTests;

/// <summary>OpenAI's client for .NET behind the interfaces of Microsoft.Extensions.AI.</summary>
[Collection(WriterFixture.Name)]
public sealed class ExtensionsClientTests(WriterFixture fixture)
{
    private static readonly ChatOptions Brief = new() { MaxOutputTokens = 6, Temperature = 0 };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private IChatClient Chat => Client().GetChatClient("golden").AsIChatClient();

    [Fact]
    public async Task It_chats_and_streams_the_same_text()
    {
        ChatResponse whole = await Chat.GetResponseAsync("Hello", Brief, Cancellation);
        Assert.Equal("golden", whole.ModelId);
        Assert.Equal(ChatFinishReason.Length, whole.FinishReason);
        Assert.Equal(6, whole.Usage!.OutputTokenCount);
        List<ChatResponseUpdate> updates = [];
        await foreach (ChatResponseUpdate update in Chat.GetStreamingResponseAsync("Hello", Brief, Cancellation))
            updates.Add(update);
        ChatResponse streamed = updates.ToChatResponse();
        Assert.Equal(whole.Text, streamed.Text);
        Assert.Equal(ChatFinishReason.Length, streamed.FinishReason);
        Assert.Equal(6, streamed.Usage!.OutputTokenCount);
        Assert.Single(updates.Select(update => update.ResponseId).Distinct());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task It_calls_functions_and_goes_on_with_their_results(bool isStreamed)
    {
        List<bool> asked = [];
        AIFunction look = AIFunctionFactory.Create((bool open) =>
        {
            asked.Add(open);
            return "A door.";
        }, "look", "Looks");
        using IChatClient agent = Chat.AsBuilder().UseFunctionInvocation().Build();
        var options = new ChatOptions
        {
            Tools = [look], ToolMode = ChatToolMode.RequireSpecific("look"), AllowMultipleToolCalls = false,
            MaxOutputTokens = 100,
        };
        ChatResponse answer = isStreamed
            ? await agent.GetStreamingResponseAsync("Look", options, Cancellation).ToChatResponseAsync(Cancellation)
            : await agent.GetResponseAsync("Look", options, Cancellation);
        Assert.NotEmpty(asked);
        AIContent[] contents = [.. answer.Messages.SelectMany(message => message.Contents)];
        Assert.Equal("look", contents.OfType<FunctionCallContent>().First().Name);
        Assert.Equal("A door.", $"{contents.OfType<FunctionResultContent>().First().Result}");
        Assert.NotEqual(ChatFinishReason.ToolCalls, answer.FinishReason);
    }

    [Fact]
    public async Task It_has_a_form_followed()
    {
        ChatResponse<Place> answer = await Chat.GetResponseAsync<Place>(
            "Hello", new ChatOptions { MaxOutputTokens = 100 }, cancellationToken: Cancellation);
        Assert.True(answer.TryGetResult(out Place? place), answer.Text);
        Assert.Contains(place.Kind, Enum.GetValues<Kind>());
    }

    [Fact]
    public async Task It_embeds()
    {
        using IEmbeddingGenerator<string, Embedding<float>> generator =
            Client().GetEmbeddingClient("writer").AsIEmbeddingGenerator();
        GeneratedEmbeddings<Embedding<float>> vectors =
            await generator.GenerateAsync(["a", "b c"], null, Cancellation);
        Assert.Equal(2, vectors.Count);
        Assert.Equal(1, vectors[1].Vector.ToArray().Sum(value => (double)value * value), 1e-5);
        Assert.Equal(4, vectors.Usage!.InputTokenCount);
        Answer plain = (await fixture.Server.Post("/v1/embeddings", new { input = new[] { "a", "b c" } })).Good();
        Assert.Equal(plain.Json.GetProperty("data")[1].GetProperty("embedding").EnumerateArray()
            .Select(value => value.GetSingle()), vectors[1].Vector.ToArray());
    }

    [Fact]
    public async Task It_cancels()
    {
        using var leaving = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (ChatResponseUpdate update in Chat.GetStreamingResponseAsync(
                "Hello", new ChatOptions { MaxOutputTokens = 400 }, leaving.Token))
                await leaving.CancelAsync();
        });
        await LifeTests.Until(async () => await LifeTests.Metric(fixture.Server, "lowrank_requests_running") == 0);
    }

    [Fact]
    public async Task It_shows_errors_with_their_code()
    {
        ClientResultException unknown = await Assert.ThrowsAsync<ClientResultException>(() =>
            Chat.GetResponseAsync("a", new ChatOptions { ModelId = "nobody" }, Cancellation));
        Assert.Equal(404, unknown.Status);
        Assert.Contains("model_not_found", unknown.Message, StringComparison.Ordinal);
        ClientResultException wrong = await Assert.ThrowsAsync<ClientResultException>(() =>
            Chat.GetResponseAsync("a", new ChatOptions { Temperature = 5 }, Cancellation));
        Assert.Equal(400, wrong.Status);
        Assert.Contains("Parameter: temperature", wrong.Message, StringComparison.Ordinal);
    }

    private OpenAIClient Client() => new(new ApiKeyCredential("none"), new OpenAIClientOptions
    {
        Endpoint = new Uri(fixture.Server.Http.BaseAddress!, "v1"), RetryPolicy = new ClientRetryPolicy(0),
        NetworkTimeout = Timeout.InfiniteTimeSpan,
    });

    private enum Kind
    {
        Inn, Hotel,
    }

    private sealed record Place(Kind Kind);
}
