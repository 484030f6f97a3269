using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;

namespace LowRank.Extensions.AI.Tests;

using ChatMessage = Microsoft.Extensions.AI.ChatMessage;

/// <summary>Calls of functions. A model as small as this calls none by itself, so the calls are required; what it
/// answers afterwards is free.</summary>
public sealed class ToolTests(ServedBase served)
{
    private const string Question = "What is the secret number?";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_required_call_is_content_and_is_not_called()
    {
        int calls = 0;
        AIFunction shields = AIFunctionFactory.Create((bool up) => calls++, "Shields");
        ChatOptions options = Requires(ChatToolMode.RequireSpecific("Shields"), shields, Secret(() => calls++));
        ChatResponse response = await served.Client("hotels").GetResponseAsync(Question, options, Token);
        FunctionCallContent call = Assert.IsType<FunctionCallContent>(Assert.Single(response.Messages[0].Contents));
        Assert.Equal(("Shields", ChatFinishReason.ToolCalls), (call.Name, response.FinishReason));
        Assert.NotEmpty(call.CallId);
        Assert.Null(call.Exception);
        Assert.Equal("up", Assert.Single(call.Arguments!).Key);
        Assert.Equal(0, calls);
        Assert.True(response.Usage!.OutputTokenCount > 5);
    }

    [Fact]
    public async Task A_call_arrives_whole_in_a_stream()
    {
        List<ChatResponseUpdate> updates = [];
        await foreach (ChatResponseUpdate update in served.Client("hotels").GetStreamingResponseAsync(
            Question, Requires(ChatToolMode.RequireAny, Secret(() => 0)), Token)) updates.Add(update);
        Assert.Single(updates.SelectMany(update => update.Contents).OfType<FunctionCallContent>());
        Assert.Equal("", string.Concat(updates.Select(update => update.Text)));
        Assert.Equal(ChatFinishReason.ToolCalls, updates[^1].FinishReason);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Functions_are_called_and_their_results_reach_the_model(bool streams)
    {
        int calls = 0;
        using IChatClient client = served.Client("hotels").AsBuilder().UseFunctionInvocation().Build();
        ChatOptions options = Requires(ChatToolMode.RequireAny, Secret(() =>
        {
            calls++;
            return 42;
        }));
        ChatResponse response = streams
            ? await client.GetStreamingResponseAsync(Question, options, Token).ToChatResponseAsync(Token)
            : await client.GetResponseAsync(Question, options, Token);
        Assert.Equal(1, calls);
        Assert.Equal([ChatRole.Assistant, ChatRole.Tool, ChatRole.Assistant],
            response.Messages.Select(message => message.Role));
        Assert.Equal("42", response.Messages[1].Contents.OfType<FunctionResultContent>().Single().Result?.ToString());
        Assert.Equal(response.Usage!.InputTokenCount + response.Usage.OutputTokenCount,
            response.Usage.TotalTokenCount);
        // What the client makes of the same history by itself is the same.
        ChatResponse direct = await served.Client("hotels").GetResponseAsync(
            [new ChatMessage(ChatRole.User, Question), .. response.Messages.Take(2)],
            Requires(ChatToolMode.Auto, [.. options.Tools!.OfType<AIFunction>()]), Token);
        Assert.Equal(direct.Text, response.Messages[2].Text);
    }

    [Fact]
    public async Task Arguments_keep_to_the_functions_parameters()
    {
        Person? asked = null;
        (Season, bool, Season[])? seen = null;
        AIFunction function = AIFunctionFactory.Create(
            (Season season, [Description("Whether it rains.")] bool wet, [MaxLength(2)] Season[] others,
                Person? person = null) =>
            {
                (seen, asked) = ((season, wet, others), person);
            }, "Remember");
        using IChatClient client = served.Client("sights").AsBuilder().UseFunctionInvocation().Build();
        ChatOptions options = Requires(ChatToolMode.RequireAny, function);
        options.MaxOutputTokens = 400;
        await client.GetResponseAsync(Question, options, Token);
        Assert.True(Enum.IsDefined(seen!.Value.Item1));
        Assert.InRange(seen.Value.Item3.Length, 0, 2);
        Assert.True(asked is null || Enum.IsDefined(asked.Born));
    }

    [Fact]
    public async Task One_call_at_most_if_several_are_not_allowed()
    {
        foreach (bool several in new[] { false, true })
        {
            ChatOptions options = Requires(ChatToolMode.RequireAny, Secret(() => 0));
            options.AllowMultipleToolCalls = several;
            ChatResponse response = await served.Client().GetResponseAsync(Question, options, Token);
            int calls = response.Messages[0].Contents.OfType<FunctionCallContent>().Count();
            Assert.InRange(calls, 1, several ? 100 : 1);
        }
    }

    [Fact]
    public async Task No_function_is_shown_where_none_may_be_called()
    {
        async Task<long?> Prompt(ChatToolMode mode) => (await served.Client().GetResponseAsync(
            Question, Requires(mode, Secret(() => 0)), Token)).Usage!.InputTokenCount;
        long? plain = (await served.Client().GetResponseAsync(
            Question, new ChatOptions { MaxOutputTokens = 4 }, Token)).Usage!.InputTokenCount;
        Assert.Equal(plain, await Prompt(ChatToolMode.None));
        Assert.True(await Prompt(ChatToolMode.Auto) > plain);
    }

    [Fact]
    public async Task The_schemas_that_NET_makes_are_accepted()
    {
        ChatOptions options = Requires(ChatToolMode.RequireSpecific("F0"),
        [
            .. new Delegate[]
            {
                (int? i) => i, (string? s) => s, (int? i = null) => i, (bool b) => b, (double d) => d,
                (decimal d) => d, (long l) => l, (char c) => c, (DateTime t) => t, (DateTimeOffset? t) => t,
                (TimeSpan t) => t, (DateOnly d) => d, (TimeOnly t) => t, (Uri u) => u, (Guid g) => g,
                (List<int> list) => list, (string p = "a", int q = 42, Season r = Season.Summer, char s = 'x') => p,
                (int[] all, Person? one) => all,
            }.Index().Select(one => AIFunctionFactory.Create(one.Item, $"F{one.Index}")),
        ]);
        ChatResponse response = await served.Client().GetResponseAsync(Question, options, Token);
        Assert.Equal("F0", response.Messages[0].Contents.OfType<FunctionCallContent>().First().Name);
    }

    // A response with a call, whose result changes or does not.
    [Theory]
    [InlineData(true, 1, 2)] // the cache before the functions: neither is asked again
    [InlineData(false, 2, 3)] // the cache after them: the function is, and the model with another result
    public async Task A_cache_stands_before_or_after_the_calls(bool isOutside, int called, int asked)
    {
        int calls = 0, requests = 0;
        AIFunction temperature = Secret(() => 80 + ++calls);
        var cache = new MemoryDistributedCache(Options.Create(new MemoryDistributedCacheOptions()));
        ChatClientBuilder builder = served.Client("hotels").AsBuilder()
            .ConfigureOptions(options =>
            {
                options.Tools = [temperature];
                options.MaxOutputTokens = 120;
                options.AllowMultipleToolCalls = false;
                options.ToolMode ??= ChatToolMode.RequireAny;
            });
        builder = isOutside ? builder.UseDistributedCache(cache).UseFunctionInvocation()
            : builder.UseFunctionInvocation().UseDistributedCache(cache);
        using IChatClient client = builder.Use((messages, options, next, token) =>
        {
            requests++;
            return next(messages, options, token);
        }).Build();
        string first = (await client.GetResponseAsync(Question, null, Token)).Text;
        Assert.Equal((1, 2), (calls, requests));
        string second = (await client.GetResponseAsync(Question, null, Token)).Text;
        Assert.Equal((called, asked), (calls, requests));
        if (isOutside) Assert.Equal(first, second);
    }

    private static AIFunction Secret(Func<int> number) => AIFunctionFactory.Create(number, "GetSecretNumber");

    private static ChatOptions Requires(ChatToolMode mode, params AIFunction[] functions) =>
        new() { Tools = [.. functions], ToolMode = mode, MaxOutputTokens = 120, AllowMultipleToolCalls = false };

    private enum Season
    {
        Summer,
        Winter,
    }

    private sealed record Person(Season Born, bool Tall = true);
}
