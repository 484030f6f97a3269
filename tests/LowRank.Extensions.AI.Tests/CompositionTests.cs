using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace LowRank.Extensions.AI.Tests;

using ChatMessage = Microsoft.Extensions.AI.ChatMessage;

/// <summary>Microsoft.Extensions.AI's own layers around the client.</summary>
public sealed class CompositionTests(ServedBase served)
{
    private const string Question = "Where is number 5?";
    private static readonly ChatOptions Short = new() { MaxOutputTokens = 8 };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static MemoryDistributedCache Cache => new(Options.Create(new MemoryDistributedCacheOptions()));

    [Fact]
    public async Task UseOpenTelemetry_names_the_model_and_counts_tokens()
    {
        string source = Guid.NewGuid().ToString();
        using var activities = new Activities(source);
        using IChatClient client = served.Client("hotels").AsBuilder().UseOpenTelemetry(sourceName: source).Build();
        ChatResponse response = await client.GetResponseAsync(Question, Short, Token);
        Activity activity = Assert.Single(activities.Ended);
        Assert.StartsWith("chat", activity.DisplayName, StringComparison.Ordinal);
        Assert.Equal("lowrank", activity.GetTagItem("gen_ai.provider.name"));
        Assert.Equal("hotels", activity.GetTagItem("gen_ai.response.model"));
        Assert.Equal((int)response.Usage!.InputTokenCount!, activity.GetTagItem("gen_ai.usage.input_tokens"));
        Assert.Equal(8, activity.GetTagItem("gen_ai.usage.output_tokens"));
        Assert.True(activity.Duration > TimeSpan.Zero);
    }

    [Fact]
    public async Task UseOpenTelemetry_sums_the_usage_of_calls()
    {
        string source = Guid.NewGuid().ToString();
        using var activities = new Activities(source);
        using IChatClient client = served.Client("hotels").AsBuilder().UseFunctionInvocation()
            .UseOpenTelemetry(sourceName: source).Build();
        ChatResponse response = await client.GetResponseAsync(Question, new ChatOptions
        {
            Tools = [AIFunctionFactory.Create(() => 42, "GetSecretNumber")], ToolMode = ChatToolMode.RequireAny,
            MaxOutputTokens = 120, AllowMultipleToolCalls = false,
        }, Token);
        Assert.Equal(3, response.Messages.Count);
        int Sum(string kind) => activities.Ended
            .Where(one => one.DisplayName.StartsWith("chat", StringComparison.Ordinal))
            .Sum(one => (int)one.GetTagItem($"gen_ai.usage.{kind}_tokens")!);
        Assert.Equal((response.Usage!.InputTokenCount, response.Usage.OutputTokenCount), (Sum("input"), Sum("output")));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task UseLogging_logs_questions_and_answers(bool streams)
    {
        var log = new Collected();
        using ILoggerFactory factory = LoggerFactory.Create(
            builder => builder.AddProvider(log).SetMinimumLevel(LogLevel.Trace));
        using IChatClient client = served.Client("hotels").AsBuilder().UseLogging(factory).Build();
        string text = streams
            ? (await client.GetStreamingResponseAsync(Question, Short, Token).ToChatResponseAsync(Token)).Text
            : (await client.GetResponseAsync(Question, Short, Token)).Text;
        Assert.Contains(log.Lines, line => line.Contains(Question, StringComparison.Ordinal));
        Assert.Contains(log.Lines, line => line.Contains(text.Trim().Split(' ')[0], StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task UseDistributedCache_answers_the_same_question_once(bool streams)
    {
        int asked = 0;
        using IChatClient client = served.Client("hotels").AsBuilder().UseDistributedCache(Cache)
            .Use((messages, options, next, token) =>
            {
                asked++;
                return next(messages, options, token);
            }).Build();
        var drawn = new ChatOptions { Temperature = 1.5f, MaxOutputTokens = 12 };
        async Task<ChatResponse> Ask(string question) => streams
            ? await client.GetStreamingResponseAsync(question, drawn, Token).ToChatResponseAsync(Token)
            : await client.GetResponseAsync(question, drawn, Token);
        ChatResponse first = await Ask(Question), again = await Ask(Question);
        Assert.Equal((first.Text, first.ResponseId, 1), (again.Text, again.ResponseId, asked));
        Assert.Equal(first.Usage!.TotalTokenCount, again.Usage!.TotalTokenCount);
        Assert.Equal(first.FinishReason, again.FinishReason);
        Assert.NotEqual(first.ResponseId, (await Ask(Question + "!")).ResponseId);
        Assert.Equal(2, asked);
    }

    [Fact]
    public async Task A_conversation_is_summarised()
    {
#pragma warning disable MEAI001 // experimental, and to be tried because of that
        using IChatClient client = served.Client("hotels").AsBuilder()
            .UseChatReducer(new SummarizingChatReducer(served.Client("hotels"), targetCount: 2, threshold: 0)).Build();
#pragma warning restore MEAI001
        List<ChatMessage> talk = [];
        for (int i = 0; i < 4; i++)
            talk.AddRange([new(ChatRole.User, $"Number {i}?"), new(ChatRole.Assistant, "Here.")]);
        talk.Add(new ChatMessage(ChatRole.User, Question));
        ChatResponse response = await client.GetResponseAsync(talk, Short, Token);
        Assert.Equal(8, response.Usage!.OutputTokenCount);
    }

    private sealed class Activities : IDisposable
    {
        private readonly ActivityListener listener;

        public Activities(string source)
        {
            listener = new ActivityListener
            {
                ShouldListenTo = one => one.Name == source,
                Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
                ActivityStopped = Ended.Enqueue,
            };
            ActivitySource.AddActivityListener(listener);
        }

        public ConcurrentQueue<Activity> Ended { get; } = new();

        public void Dispose() => listener.Dispose();
    }

    private sealed class Collected : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Lines.Enqueue(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}
