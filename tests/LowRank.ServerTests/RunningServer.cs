using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using LowRank.Server;

namespace LowRank.ServerTests;

/// <summary>A server, and requests to it.</summary>
public sealed class RunningServer : IAsyncDisposable
{
    private RunningServer(LowRankServer server)
    {
        Server = server;
        Http = new HttpClient { BaseAddress = server.Address, Timeout = Timeout.InfiniteTimeSpan };
    }

    public LowRankServer Server { get; }

    public HttpClient Http { get; }

    public static async Task<RunningServer> Start(ServerOptions options, bool waits = true)
    {
        LowRankServer server = await LowRankServer.StartAsync(
            options with { Port = 0 }, TestContext.Current.CancellationToken);
        if (waits) await server.Loading;
        return new RunningServer(server);
    }

    public static ServerOptions Options(string model, params (string Name, string Folder)[] adapters) => new(model)
    {
        Opening = new LanguageModelOptions { Threads = 1 },
        Adapters = [.. adapters.Select(adapter => new NamedAdapter(adapter.Name, adapter.Folder))],
    };

    public async Task<Answer> Post(string path, string json, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = new StringContent(json, Encoding.UTF8, "application/json"),
        };
        foreach ((string name, string value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return await Send(request);
    }

    public async Task<Answer> Post(string path, object body) => await Post(path, JsonSerializer.Serialize(body));

    public async Task<Answer> Get(string path, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        foreach ((string name, string value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return await Send(request);
    }

    public async Task<Answer> Send(HttpRequestMessage request)
    {
        using HttpResponseMessage response = await Http.SendAsync(request, TestContext.Current.CancellationToken);
        return new Answer((int)response.StatusCode,
            await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), response.Headers);
    }

    /// <summary>What a stream sends, event by event.</summary>
    public async Task<IReadOnlyList<(string? Name, string Data)>> Stream(string path, object body)
    {
        Answer answer = await Post(path, body is string json ? json : JsonSerializer.Serialize(body));
        Assert.True(answer.Status == 200, answer.Text);
        List<(string?, string)> events = [];
        foreach (string part in answer.Text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            string[] lines = part.Split('\n');
            string? name = lines.FirstOrDefault(line => line.StartsWith("event: ", StringComparison.Ordinal))?[7..];
            events.Add((name, lines.Single(line => line.StartsWith("data: ", StringComparison.Ordinal))[6..]));
        }
        return events;
    }

    /// <summary>The chunks of a stream, which ends as OpenAI's do.</summary>
    public async Task<JsonElement[]> Chunks(string path, object body)
    {
        IReadOnlyList<(string? Name, string Data)> events = await Stream(path, body);
        Assert.Equal("[DONE]", events[^1].Data);
        return [.. events.SkipLast(1).Select(one => Answer.Parse(one.Data))];
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await Server.DisposeAsync();
    }
}

/// <summary>An answer.</summary>
public sealed record Answer(int Status, string Text, HttpResponseHeaders Headers)
{
    public JsonElement Json => Parse(Text);

    public JsonElement Error => Json.GetProperty("error");

    public string Content => Json.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;

    public string Written => Json.GetProperty("choices")[0].GetProperty("text").GetString()!;

    public static JsonElement Parse(string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    /// <summary>This answer, after asserting that it is one.</summary>
    public Answer Good()
    {
        Assert.True(Status == 200, $"{Status}: {Text}");
        return this;
    }

    /// <summary>This answer, after asserting that it is an error in OpenAI's form.</summary>
    public Answer Bad(int status, string? param = null, string? code = null)
    {
        Assert.True(Status == status, $"{Status}, expected {status}: {Text}");
        OpenAiSchema.Validate("ErrorResponse", Json);
        if (param is not null) Assert.Equal(param, Error.GetProperty("param").GetString());
        if (code is not null) Assert.Equal(code, Error.GetProperty("code").GetString());
        return this;
    }
}
