using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using LowRank.Server;
using Microsoft.Extensions.Logging;

namespace LowRank.ServerTests;

/// <summary>Loading, waiting, leaving, stopping; what is logged, measured and traced.</summary>
public sealed class LifeTests : IDisposable
{
    private readonly TinyModels models = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private ServerOptions Options => WriterFixture.Options(models);

    public void Dispose() => models.Dispose();

    [Fact]
    public async Task While_the_model_is_loaded_requests_are_asked_to_come_again()
    {
        await using RunningServer server = await RunningServer.Start(Options, waits: false);
        Answer early = await server.Post("/v1/completions", new { prompt = "a", max_tokens = 1 });
        Answer ready = await server.Get("/ready");
        Assert.Equal(200, (await server.Get("/health")).Status);
        if (early.Status != 200) // the model may be there already
        {
            early.Bad(503, null, "loading");
            Assert.NotNull(early.Headers.RetryAfter);
        }
        Assert.Contains(ready.Status, new[] { 200, 503 });
        await server.Server.Loading;
        Assert.Equal("""{"status":"ok"}""", (await server.Get("/ready")).Good().Text);
    }

    [Fact]
    public async Task A_model_that_cannot_be_loaded_is_told_to_who_started_the_server()
    {
        await using RunningServer server =
            await RunningServer.Start(RunningServer.Options(models.Root), waits: false);
        await Assert.ThrowsAsync<InputException>(() => server.Server.Loading);
        (await server.Post("/v1/completions", new { prompt = "a" })).Bad(503, null, "failed");
        Assert.Equal("""{"status":"failed"}""", (await server.Get("/ready")).Text);
    }

    // vLLM 18826: an unbounded queue.
    [Fact]
    public async Task Fault_12_a_full_queue_asks_to_come_again()
    {
        await using RunningServer server = await RunningServer.Start(
            Options with { Serving = new() { MaxBatch = 1, MaxQueuedRequests = 2 } });
        object body = new { prompt = "a", max_tokens = 400, ignore_eos = true, temperature = 0 };
        Answer[] answers = await Task.WhenAll(
            Enumerable.Range(0, 12).Select(_ => server.Post("/v1/completions", body)));
        Assert.All(answers, answer => Assert.Contains(answer.Status, new[] { 200, 429 }));
        Answer busy = answers.First(answer => answer.Status == 429).Bad(429, null, "server_busy");
        Assert.Equal(TimeSpan.FromSeconds(1), busy.Headers.RetryAfter!.Delta);
        Assert.Contains(answers, answer => answer.Status == 200);
        (await server.Post("/v1/completions", new { prompt = "a", max_tokens = 1 })).Good();
    }

    // llama.cpp 24496: generation survives a disconnect.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Fault_11_who_leaves_ends_the_work(bool isStreamed)
    {
        await using RunningServer server =
            await RunningServer.Start(Options with { Serving = new() { MaxBatch = 1 } });
        using var leaving = new CancellationTokenSource();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = new StringContent(JsonSerializer.Serialize(new
            {
                prompt = "a", max_tokens = 500, ignore_eos = true, stream = isStreamed, n = 32,
            })),
        };
        Task<HttpResponseMessage> sent = server.Http.SendAsync(
            request, HttpCompletionOption.ResponseHeadersRead, leaving.Token);
        await Until(async () => await Metric(server, "lowrank_requests_running") > 0);
        if (isStreamed) (await sent).Dispose();
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<Exception>(async () =>
            await (await sent).EnsureSuccessStatusCode().Content.ReadAsStringAsync(leaving.Token));
        await Until(async () => await Metric(server, "lowrank_requests_running") == 0
            && await Metric(server, "lowrank_requests_waiting") == 0);
        Assert.True(await Metric(server, "lowrank_generation_tokens_total") < 32 * 500);
    }

    [Fact]
    public async Task Asked_to_stop_it_finishes_what_runs_and_takes_no_more()
    {
        RunningServer server = await RunningServer.Start(Options);
        Task<Answer> running = server.Post(
            "/v1/completions", new { prompt = "a", max_tokens = 300, ignore_eos = true, temperature = 0 });
        await Until(async () => await Metric(server, "lowrank_requests_running") > 0);
        Task stopping = server.Server.StopAsync(Cancellation);
        Answer late = await server.Post("/v1/completions", new { prompt = "a" });
        Answer ready = await server.Get("/ready");
        if (!running.IsCompleted)
        {
            late.Bad(503, null, "stopping");
            Assert.Equal(503, ready.Status);
        }
        Assert.Equal(300, (await running).Good().Json.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        await stopping;
        await Assert.ThrowsAsync<HttpRequestException>(() => server.Get("/health"));
        await server.DisposeAsync();
    }

    [Theory]
    [InlineData("/v1/completions", "'prompt': 'a', 'max_tokens': 500")]
    [InlineData("/v1/chat/completions", "'messages': [{'role': 'user', 'content': 'a'}]")]
    [InlineData("/v1/responses", "'input': 'a'")]
    [InlineData("/api/generate", "'model': 'writer', 'prompt': 'a', 'raw': true, 'options': {'temperature': 0}")]
    public async Task What_fails_after_a_stream_has_begun_is_its_last_event(string path, string body)
    {
        await using RunningServer server = await RunningServer.Start(Options);
        string more = path.StartsWith("/api", StringComparison.Ordinal) ? "" : ", \"ignore_eos\": true";
        using var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = new StringContent($$"""{"stream": true{{more}}, {{body.Replace('\'', '"')}}}"""),
        };
        using HttpResponseMessage response = await Amid(
            server, request, () => server.Server.Host.Served!.Engine!.DisposeAsync().AsTask()); // as if it had failed
        Assert.Equal(200, (int)response.StatusCode);
        string[] lines = [.. (await response.Content.ReadAsStringAsync(Cancellation)).Split('\n')
            .Where(line => line.Length > 0)];
        const string Said = "The server is stopping.";
        Assert.Contains(Said, lines[path is "/v1/responses" or "/api/generate" ? ^1 : ^2], StringComparison.Ordinal);
        if (path == "/v1/responses")
        {
            Assert.Equal("event: response.failed", lines[^2]);
            OpenAiSchema.Validate("ResponseFailedEvent", Answer.Parse(lines[^1]["data: ".Length..]));
        }
        else if (path != "/api/generate")
        {
            Assert.Equal(("event: error", "data: [DONE]"), (lines[^3], lines[^1]));
            OpenAiSchema.Validate("ErrorResponse", Answer.Parse(lines[^2]["data: ".Length..]));
        }
    }

    [Fact]
    public async Task Logs_say_what_was_asked_for_and_no_prompt()
    {
        var log = new Heard();
        const string Secret = "unlikely-words-of-a-prompt";
        await using (RunningServer server = await RunningServer.Start(
            Options with { Logger = log, ApiKeys = ["sk-secret"] }))
        {
            (string, string) key = ("Authorization", "Bearer sk-secret");
            (await server.Post("/v1/completions", $$"""{"prompt": "{{Secret}}", "max_tokens": 2}""", key)).Good();
            (await server.Post("/v1/completions", $$"""{"prompt": ["{{Secret}}", 5]}""", key)).Bad(400);
            (await server.Post("/v1/chat/completions",
                $$$"""{"messages": [{"role": "user", "content": "{{{Secret}}}"}], "max_tokens": 2}""", key)).Good();
        }
        string all = string.Join('\n', log.Lines);
        Assert.Contains("/v1/completions", all, StringComparison.Ordinal);
        Assert.Contains("26 + 2 tokens", all, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, all, StringComparison.Ordinal);
        Assert.DoesNotContain("sk-secret", all, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", all, StringComparison.Ordinal);

        var detailed = new Heard();
        await using (RunningServer server = await RunningServer.Start(
            Options with { Logger = detailed, LogPrompts = true }))
            (await server.Post("/v1/completions", $$"""{"prompt": "{{Secret}}", "max_tokens": 2}""")).Good();
        Assert.Contains(Secret, string.Join('\n', detailed.Lines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metrics_count_what_was_done_by_own_names_and_by_those_that_dashboards_know()
    {
        await using RunningServer server = await RunningServer.Start(Options);
        (await server.Post("/v1/completions",
            new { prompt = "hello", max_tokens = 7, ignore_eos = true, temperature = 0, n = 2 })).Good();
        (await server.Post("/v1/completions", new { prompt = "hello", max_tokens = -1 })).Bad(400);
        Assert.Equal(14, await Metric(server, "lowrank_generation_tokens_total"));
        Assert.Equal(14, await Metric(server, "vllm:generation_tokens_total"));
        string page = (await server.Get("/metrics")).Text;
        foreach (string name in (string[])["time_to_first_token_seconds", "inter_token_latency_seconds",
            "e2e_request_latency_seconds", "request_queue_time_seconds", "request_prefill_time_seconds",
            "request_decode_time_seconds"])
            foreach (string prefix in (string[])["lowrank_", "vllm:"])
                Assert.True(await Metric(server, $"{prefix}{name}_count") >= 1, $"{prefix}{name}\n{page}");
        foreach (string name in (string[])["vllm:num_requests_running", "vllm:num_requests_waiting",
            "vllm:kv_cache_usage_perc", "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total",
            "vllm:prompt_tokens_total"])
            Assert.Contains($"\n{name}{{", page, StringComparison.Ordinal);
        Assert.Contains("lowrank_request_success_total{model_name=\"writer\",finished_reason=\"length\"} 2", page,
            StringComparison.Ordinal);
        Assert.Contains("status=\"400\"", page, StringComparison.Ordinal);
        string docs = RepositoryFiles.Read("docs/serving.md");
        Assert.All(page.Split('\n').Where(line => line.StartsWith("# TYPE ", StringComparison.Ordinal))
            .Select(line => line.Split(' ')[2]), name => Assert.Contains($"`{name}`", docs, StringComparison.Ordinal));
        Assert.All(page.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => Assert.Matches(
            @"^(# (HELP|TYPE) [a-z_:0-9]+ .+|[a-zA-Z_:0-9]+(\{[^{}]*\})? [-+0-9.eE]+(Inf|NaN)?)$", line));
    }

    [Fact]
    public async Task A_request_for_texts_is_a_span_by_OpenTelemetrys_names()
    {
        var spans = new ConcurrentBag<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "LowRank.Serving",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = spans.Add,
        };
        ActivitySource.AddActivityListener(listener);
        var measured = new ConcurrentBag<string>();
        using var meters = new System.Diagnostics.Metrics.MeterListener();
        meters.InstrumentPublished = (instrument, listening) =>
        {
            if (instrument.Meter.Name == "LowRank.Server") listening.EnableMeasurementEvents(instrument);
        };
        meters.SetMeasurementEventCallback<double>((instrument, _, tags, _) =>
        {
            foreach ((string name, object? tag) in tags)
                if (name == "gen_ai.request.model" && tag is "span-test") measured.Add(instrument.Name);
        });
        meters.Start();
        await using RunningServer server =
            await RunningServer.Start(Options with { ModelName = "span-test" });
        (await server.Post("/v1/chat/completions", new
        {
            model = "span-test", messages = new[] { new { role = "user", content = "a" } }, max_tokens = 3,
            ignore_eos = true, temperature = 0,
        })).Good();
        await Until(() => Task.FromResult(spans.Any(span => span.DisplayName == "chat span-test")));
        Activity found = spans.First(span => span.DisplayName == "chat span-test");
        Assert.Equal("chat", found.GetTagItem("gen_ai.operation.name"));
        Assert.Equal(3, found.GetTagItem("gen_ai.usage.output_tokens"));
        await Until(() => Task.FromResult(measured.Count == 3));
        Assert.Equal(["gen_ai.server.request.duration", "gen_ai.server.time_per_output_token",
            "gen_ai.server.time_to_first_token"], measured.Order());
        Assert.Equal(["length"], (string[])found.GetTagItem("gen_ai.response.finish_reasons")!);
    }

    /// <summary>Does something on the model's thread after a stream has begun and before it ends: the model waits
    /// between two tokens until it has been asked for.</summary>
    internal static async Task<HttpResponseMessage> Amid(
        RunningServer server, HttpRequestMessage request, Func<Task> act)
    {
        LanguageModel model = server.Server.Host.Served!.Engine!.Model;
        using var asked = new ManualResetEventSlim();
        var waited = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        // A step posts the next one, so it is a token for each wait.
        void Wait() => model.Thread.Post(_ =>
        {
            if (asked.Wait(100, CancellationToken.None)) waited.SetResult();
            else Wait();
        }, waited.SetResult);
        Wait();
        Task acted = Task.CompletedTask;
        try
        {
            HttpResponseMessage response = await server.Http.SendAsync(
                request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
            acted = act();
            return response;
        }
        finally
        {
            asked.Set();
            await waited.Task;
            await acted;
        }
    }

    internal static async Task<double> Metric(RunningServer server, string name)
    {
        string page = (await server.Get("/metrics")).Text;
        return page.Split('\n').Where(line => line.StartsWith(name + "{", StringComparison.Ordinal)
            || line.StartsWith(name + " ", StringComparison.Ordinal)).Sum(line => double.Parse(
                line[(line.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture));
    }

    internal static async Task Until(Func<Task<bool>> condition)
    {
        for (long started = Stopwatch.GetTimestamp(); !await condition(); await Task.Delay(10, Cancellation))
            Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromMinutes(10), "It did not come to pass.");
    }

    private sealed class Heard : ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel level) => true;

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Lines.Enqueue($"{formatter(state, exception)} {exception}");
    }
}
