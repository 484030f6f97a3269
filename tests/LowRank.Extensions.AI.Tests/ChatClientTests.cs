using LowRank.Generation;
using LowRank.Serving;
using Microsoft.Extensions.AI;

namespace LowRank.Extensions.AI.Tests;

using ChatMessage = Microsoft.Extensions.AI.ChatMessage;

/// <summary>What callers of <see cref="IChatClient"/> rely on, on a real model.</summary>
public sealed class ChatClientTests(ServedBase served)
{
    private const string Question = "Where is number 3?";
    private static readonly ChatOptions Short = new() { MaxOutputTokens = 12 };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_adapters_client_says_what_the_model_says_with_it()
    {
        Dictionary<string, string> expected = await Expected(Short.MaxOutputTokens!.Value);
        Assert.Equal(3, expected.Values.Distinct().Count());
        // At the same time, and several times.
        string[] names = [.. Enumerable.Repeat(expected.Keys, 4).SelectMany(all => all)];
        ChatResponse[] responses = await Task.WhenAll(names.Select(name =>
            served.Client(name).GetResponseAsync(Question, Short, Token)));
        Assert.Equal(names.Select(name => expected[name]), responses.Select(response => response.Text));
        Assert.Equal(names, responses.Select(response => response.ModelId));
    }

    [Fact]
    public async Task A_call_may_name_another_adapter_or_the_base()
    {
        Dictionary<string, string> expected = await Expected(Short.MaxOutputTokens!.Value);
        foreach ((string name, string text) in expected)
        {
            var options = new ChatOptions { ModelId = name, MaxOutputTokens = Short.MaxOutputTokens };
            ChatResponse response = await served.Client("hotels").GetResponseAsync(Question, options, Token);
            Assert.Equal((name, text), (response.ModelId, response.Text));
        }
        ServingException unknown = await Assert.ThrowsAsync<ServingException>(() =>
            served.Client().GetResponseAsync(Question, new ChatOptions { ModelId = "castles" }, Token));
        Assert.Equal(ServingRefusal.UnknownAdapter, unknown.Refusal);
        Assert.Contains("castles", unknown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stream_is_the_response_in_parts()
    {
        IChatClient client = served.Client("hotels");
        ChatResponse whole = await client.GetResponseAsync(Question, Short, Token);
        List<ChatResponseUpdate> updates = await Updates(client, Question, Short);
        Assert.Equal(whole.Text, string.Concat(updates.Select(update => update.Text)));
        Assert.True(updates.Count > 3);
        Assert.All(updates, update => Assert.Equal("hotels", update.ModelId));
        Assert.Equal(ChatRole.Assistant, updates[0].Role);
        string id = Assert.Single(updates.Select(update => update.ResponseId).Distinct())!;
        Assert.NotEmpty(id);
        Assert.Single(updates.Select(update => update.MessageId).Distinct());
        Assert.Single(updates.Select(update => update.CreatedAt).Distinct());
        Assert.All(updates.SkipLast(1), update => Assert.Null(update.FinishReason));
        Assert.All(updates.SkipLast(1), update => Assert.DoesNotContain(update.Contents, one => one is UsageContent));
        Assert.Equal(ChatFinishReason.Length, updates[^1].FinishReason);
        UsageDetails usage = Assert.IsType<UsageContent>(Assert.Single(updates[^1].Contents)).Details;
        Assert.Equal(Short.MaxOutputTokens, usage.OutputTokenCount);
        Assert.NotEqual(whole.ResponseId, id);
    }

    [Fact]
    public async Task Usage_counts_the_prompt_what_was_known_of_it_and_the_answer()
    {
        IChatClient client = served.Client("sights");
        string question = string.Concat(Enumerable.Repeat("A river, a bridge and a mill. ", 8)) + Question;
        UsageDetails first = (await client.GetResponseAsync(question, Short, Token)).Usage!;
        UsageDetails again = (await client.GetResponseAsync(question, Short, Token)).Usage!;
        Assert.True(first.InputTokenCount > 40);
        Assert.Equal(first.InputTokenCount + first.OutputTokenCount, first.TotalTokenCount);
        Assert.Equal(0, first.CachedInputTokenCount);
        Assert.Equal(first.InputTokenCount, again.InputTokenCount);
        Assert.InRange(again.CachedInputTokenCount!.Value, 16, again.InputTokenCount!.Value - 1);
    }

    [Fact]
    public async Task History_grows_by_one_message()
    {
        List<ChatMessage> history = [new(ChatRole.User, Question)];
        IAsyncEnumerable<ChatResponseUpdate> stream =
            served.Client("hotels").GetStreamingResponseAsync(history, Short, Token);
        Assert.Single(history);
        await history.AddMessagesAsync(stream, cancellationToken: Token);
        Assert.Equal([ChatRole.User, ChatRole.Assistant], history.Select(message => message.Role));
        Assert.NotEmpty(Assert.IsType<TextContent>(Assert.Single(history[1].Contents)).Text);
        history.Add(new ChatMessage(ChatRole.User, "And number 4?"));
        Assert.NotEmpty((await served.Client("hotels").GetResponseAsync(history, Short, Token)).Text);
    }

    [Fact]
    public async Task Empty_messages_are_messages()
    {
        ChatResponse response = await served.Client("hotels").GetResponseAsync(
            [new(ChatRole.System, []), new(ChatRole.User, []), new(ChatRole.Assistant, []),
                new(ChatRole.User, Question)], Short, Token);
        Assert.NotEmpty(response.Text);
    }

    [Fact]
    public async Task Instructions_are_a_system_message_before_the_others()
    {
        const string Rule = "Answer in one word.", More = "Be kind.";
        IChatClient client = served.Client("hotels");
        ChatMessage asks = new(ChatRole.User, Question);
        async Task<(string, long?)> Ask(string? instructions, params ChatMessage[] messages)
        {
            ChatResponse response = await client.GetResponseAsync(messages,
                new ChatOptions { Instructions = instructions, MaxOutputTokens = 12 }, Token);
            return (response.Text, response.Usage!.InputTokenCount);
        }
        (string, long?) plain = await Ask(null, asks), ruled = await Ask(Rule, asks);
        Assert.NotEqual(plain.Item2, ruled.Item2);
        Assert.Equal(await Ask(null, new ChatMessage(ChatRole.System, Rule), asks), ruled);
        Assert.Equal(await Ask(null, new ChatMessage(ChatRole.System, $"{Rule}\n\n{More}"), asks),
            await Ask(Rule, new ChatMessage(ChatRole.System, More), asks));
    }

    [Fact]
    public async Task An_answer_ends_before_a_stop_sequence()
    {
        IChatClient client = served.Client("hotels");
        string text = (await client.GetResponseAsync(Question, Short, Token)).Text;
        string stop = text[(text.Length / 2)..][..2];
        ChatResponse stopped = await client.GetResponseAsync(
            Question, new ChatOptions { MaxOutputTokens = 12, StopSequences = [stop] }, Token);
        Assert.Equal(text[..text.IndexOf(stop, StringComparison.Ordinal)], stopped.Text);
        Assert.Equal(ChatFinishReason.Stop, stopped.FinishReason);
    }

    [Fact]
    public async Task A_seed_repeats_what_is_drawn_and_without_one_it_varies()
    {
        IChatClient client = served.Client();
        Task<string> Draw(long? seed) => Text(client,
            new ChatOptions { Temperature = 1.5f, Seed = seed, MaxOutputTokens = 16 });
        string first = await Draw(7);
        Assert.Equal(first, await Draw(7));
        string[] others = [await Draw(null), await Draw(null), await Draw(null)];
        Assert.True(others.Distinct().Count() > 1);
        Assert.Equal(await Text(client, Short), await Text(client, Short));
    }

    [Fact]
    public async Task Options_are_honoured_and_never_changed()
    {
        var options = new ChatOptions
        {
            Instructions = "Be brief.", Temperature = 0.8f, TopP = 0.9f, TopK = 20, Seed = 3, MaxOutputTokens = 5,
            FrequencyPenalty = 0.1f, PresencePenalty = 0.1f, StopSequences = ["\n\n"], ModelId = "hotels",
            ResponseFormat = ChatResponseFormat.Text, AllowMultipleToolCalls = false, ToolMode = ChatToolMode.Auto,
            AllowBackgroundResponses = false,
            AdditionalProperties = new() { ["min_p"] = 0.05, ["repetition_penalty"] = 1.1f },
        };
        string before = System.Text.Json.JsonSerializer.Serialize(options, AIJsonUtilities.DefaultOptions);
        ChatResponse response = await served.Client().GetResponseAsync(Question, options, Token);
        Assert.Equal(5, response.Usage!.OutputTokenCount);
        Assert.Equal(before, System.Text.Json.JsonSerializer.Serialize(options, AIJsonUtilities.DefaultOptions));
    }

    [Fact]
    public async Task A_callers_own_request_reaches_the_engine()
    {
        var options = new ChatOptions
        {
            MaxOutputTokens = 3,
            RawRepresentationFactory = _ => new ServingRequest([])
            {
                LogProbs = 2, Generation = new GenerationOptions { MaxNewTokens = 4 },
            },
        };
        List<ChatResponseUpdate> updates = await Updates(served.Client("hotels"), Question, options);
        ScoredToken[] tokens = [.. updates.Select(update => update.RawRepresentation).OfType<ServedPiece>()
            .SelectMany(piece => piece.Tokens)];
        Assert.Equal(4, tokens.Length); // what the request sets has precedence
        Assert.All(tokens, token => Assert.Equal(2, token.Likeliest.Count));
        Assert.All(tokens, token => Assert.Equal(token.Likeliest[0].LogProb, token.LogProb));
    }

    [Fact]
    public async Task A_cancelled_answer_ends_and_leaves_the_engine_free()
    {
        IChatClient client = served.Client("hotels");
        using var stop = new CancellationTokenSource();
        var endless = new ChatOptions { RawRepresentationFactory = _ => Endless() };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (ChatResponseUpdate _ in client.GetStreamingResponseAsync(Question, endless, stop.Token))
                await stop.CancelAsync();
        });
        await foreach (ChatResponseUpdate _ in client.GetStreamingResponseAsync(Question, endless, Token)) break;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            client.GetResponseAsync(Question, endless, stop.Token));
        Assert.NotEmpty(await Text(client, Short));
    }

    [Fact]
    public async Task Null_messages_are_refused_at_once_and_none_when_it_is_asked()
    {
        IChatClient client = served.Client();
        Assert.Throws<ArgumentNullException>("messages", () => { client.GetStreamingResponseAsync(null!); });
        await Assert.ThrowsAsync<ArgumentNullException>("messages", () =>
            client.GetResponseAsync((IEnumerable<ChatMessage>)null!, null, Token));
        await Assert.ThrowsAsync<InputException>(() => client.GetResponseAsync([], null, Token));
    }

    [Fact]
    public void It_gives_itself_and_its_metadata()
    {
        IChatClient client = served.Client("hotels");
        Assert.Same(client, client.GetService(typeof(LowRankChatClient)));
        Assert.Same(client, client.GetService<IChatClient>());
        ChatClientMetadata metadata = client.GetService<ChatClientMetadata>()!;
        Assert.Equal(("lowrank", "hotels", null),
            (metadata.ProviderName, metadata.DefaultModelId, metadata.ProviderUri));
        Assert.Equal("model", served.Client().GetService<ChatClientMetadata>()!.DefaultModelId);
        Assert.Null(client.GetService(typeof(IChatClient), "key"));
        Assert.Null(client.GetService<string>());
        Assert.Throws<ArgumentNullException>(() => client.GetService(null!));
    }

    internal static ServingRequest Endless() => new([])
    {
        IgnoresEndOfText = true, Generation = new GenerationOptions { MaxNewTokens = 4000 },
    };

    private static async Task<string> Text(IChatClient client, ChatOptions options) =>
        (await client.GetResponseAsync(Question, options, Token)).Text;

    private static async Task<List<ChatResponseUpdate>> Updates(
        IChatClient client, string question, ChatOptions options)
    {
        List<ChatResponseUpdate> updates = [];
        await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync(question, options, Token))
            updates.Add(update);
        return updates;
    }

    // What the model itself says, one adapter after the other.
    private async Task<Dictionary<string, string>> Expected(int tokens)
    {
        await using LanguageModel model = await LanguageModel.LoadAsync(served.Folder, ServedBase.Opening, null, Token);
        var options = new GenerationOptions { MaxNewTokens = tokens };
        LowRank.ChatMessage[] talk = [new("user", Question)];
        Dictionary<string, string> said = new() { ["model"] = await model.ChatTextAsync(talk, options, Token) };
        foreach (string name in ServedBase.Writers)
        {
            await model.LoadAdapterAsync(served[name], Token);
            said[name] = await model.ChatTextAsync(talk, options, Token);
        }
        return said;
    }
}
