using System.Net.Sockets;
using System.Text;
using LowRank.Server;

namespace LowRank.ServerTests;

/// <summary>Keys, hosts, pages of other origins, and what is too large. The model is an encoder, which loads at
/// once.</summary>
public sealed class GuardTests : IAsyncLifetime
{
    private const string Key = "sk-one-key-that-is-long", Other = "sk-another-key";

    private readonly TinyModels models = new();
    private RunningServer server = null!;

    public async ValueTask InitializeAsync() =>
        server = await RunningServer.Start(RunningServer.Options(models.Encoder) with
        {
            ApiKeys = [Key, Other], CorsOrigins = ["https://page.example"],
            Limits = new RequestLimits { BodyBytes = 4096, HeaderBytes = 4096, Inputs = 4 },
        });

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        models.Dispose();
    }

    [Theory]
    [InlineData("GET", "/v1/models")]
    [InlineData("GET", "/v1/models/")]
    [InlineData("GET", "/v1/models/encoder")]
    [InlineData("GET", "/metrics")]
    [InlineData("GET", "/metrics/")]
    [InlineData("GET", "/api/tags")]
    [InlineData("GET", "/api/version")]
    [InlineData("GET", "/nowhere")]
    [InlineData("GET", "/HEALTH/")]
    [InlineData("POST", "/v1/chat/completions")]
    [InlineData("POST", "/v1/chat/completions/")]
    [InlineData("POST", "/V1/COMPLETIONS")]
    [InlineData("POST", "/v1/completions")]
    [InlineData("POST", "/v1/embeddings")]
    [InlineData("POST", "/v1/rerank")]
    [InlineData("POST", "/v1/score")]
    [InlineData("POST", "/v1/classify")]
    [InlineData("POST", "/v1/responses")]
    [InlineData("POST", "/v1/load_lora_adapter")]
    [InlineData("POST", "/v1/unload_lora_adapter")]
    [InlineData("POST", "/tokenize")]
    [InlineData("POST", "/detokenize")]
    [InlineData("POST", "/health")]
    [InlineData("OPTIONS", "/v1/models")]
    [InlineData("HEAD", "/v1/models")]
    [InlineData("DELETE", "/v1/models/encoder")]
    public async Task Every_route_but_health_needs_a_key(string method, string path)
    {
        bool isOpen = path == "/health";
        foreach (string? shown in new[] { null, "Bearer ", "Bearer wrong", $"Bearer {Key}x", $"Basic {Key}", Key })
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path);
            if (shown is not null) request.Headers.TryAddWithoutValidation("Authorization", shown);
            Answer answer = await server.Send(request);
            Assert.Equal(isOpen ? 405 : 401, answer.Status);
            if (method != "HEAD" && !path.StartsWith("/api", StringComparison.Ordinal)) answer.Bad(answer.Status);
        }
    }

    [Fact]
    public async Task Either_key_opens_and_health_is_open()
    {
        Assert.Equal(200, (await server.Get("/health")).Status);
        Assert.Equal(200, (await server.Get("/ready")).Status);
        foreach (string key in (string[])[Key, Other])
            Assert.Equal(200, (await server.Get("/v1/models", ("Authorization", $"Bearer {key}"))).Status);
        Answer refused = (await server.Get("/v1/models")).Bad(401, null, "invalid_api_key");
        Assert.Equal("authentication_error", refused.Error.GetProperty("type").GetString());
        Assert.Equal("Bearer", Assert.Single(refused.Headers.WwwAuthenticate).Scheme);
    }

    // CVE-2024-28224: a page whose name is made to point at this machine.
    [Theory]
    [InlineData("evil.example", 403)]
    [InlineData("127.0.0.1.evil.example", 403)]
    [InlineData("localhost.evil.example", 403)]
    [InlineData("169.254.1.1", 403)]
    [InlineData("localhost", 200)]
    [InlineData("LOCALHOST:99", 200)]
    [InlineData("127.0.0.1:1", 200)]
    [InlineData("[::1]:8080", 200)]
    public async Task Fault_18_a_host_that_is_not_this_machine_is_refused(string host, int status)
    {
        Answer answer = await server.Get("/health", ("Host", host));
        Assert.Equal(status, answer.Status);
        if (status == 403) answer.Bad(403, null, "host_not_allowed");
    }

    [Fact]
    public async Task A_page_may_call_if_it_is_named_and_no_other_one_may()
    {
        using var ask = new HttpRequestMessage(HttpMethod.Options, "/v1/chat/completions");
        ask.Headers.TryAddWithoutValidation("Origin", "https://page.example");
        ask.Headers.TryAddWithoutValidation("Access-Control-Request-Method", "POST");
        ask.Headers.TryAddWithoutValidation("Access-Control-Request-Headers", "authorization,content-type");
        Answer told = await server.Send(ask);
        Assert.Equal(204, told.Status);
        Assert.Equal("https://page.example", told.Headers.GetValues("Access-Control-Allow-Origin").Single());
        Assert.Contains("authorization", told.Headers.GetValues("Access-Control-Allow-Headers").Single(),
            StringComparison.Ordinal);
        Answer called = await server.Get("/v1/models", ("Origin", "https://page.example"),
            ("Authorization", $"Bearer {Key}"));
        Assert.Equal("https://page.example", called.Headers.GetValues("Access-Control-Allow-Origin").Single());
        // The question is answered without a key, the call is not.
        (await server.Get("/v1/models", ("Origin", "https://page.example"))).Bad(401);
        foreach (string origin in (string[])["https://other.example", "null", "http://page.example",
            "https://page.example.evil", "https://page.example:444"])
        {
            Answer refused = (await server.Get("/v1/models", ("Origin", origin), ("Authorization", $"Bearer {Key}")))
                .Bad(403, null, "origin_not_allowed");
            Assert.False(refused.Headers.Contains("Access-Control-Allow-Origin"));
        }
        string own = server.Http.BaseAddress!.GetLeftPart(UriPartial.Authority);
        Assert.Equal(200, (await server.Get("/v1/models", ("Origin", own), ("Authorization", $"Bearer {Key}"))).Status);
    }

    [Fact]
    public async Task What_is_too_large_is_refused()
    {
        (string, string) key = ("Authorization", $"Bearer {Key}");
        (await server.Post("/v1/embeddings", $$"""{"input": "{{new string('a', 5000)}}"}""", key)).Bad(413);
        (await server.Post("/v1/embeddings", """{"input": ["a", "a", "a", "a", "a"]}""", key))
            .Bad(400, "input", "too_many");
        // CVE-2025-48956: huge headers.
        Answer headers = await server.Get("/health", ("X-Large", new string('a', 8000)));
        Assert.Equal(431, headers.Status);
    }

    [Fact]
    public async Task A_body_without_an_end_is_cut_off_at_its_limit()
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", server.Http.BaseAddress!.Port, TestContext.Current.CancellationToken);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {Key}\r\n" +
            "Transfer-Encoding: chunked\r\n\r\n"), TestContext.Current.CancellationToken);
        byte[] chunk = Encoding.ASCII.GetBytes($"400\r\n{new string('a', 1024)}\r\n");
        for (int i = 0; i < 8; i++) await stream.WriteAsync(chunk, TestContext.Current.CancellationToken);
        using var reader = new StreamReader(stream, Encoding.ASCII);
        Assert.Contains(
            "413", await reader.ReadLineAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_at_an_address_and_a_wrong_method_are_errors_in_OpenAIs_form()
    {
        (string, string) key = ("Authorization", $"Bearer {Key}");
        (await server.Get("/v1/nothing", key)).Bad(404, null, "unknown_url");
        (await server.Get("/v1/embeddings", key)).Bad(405, null, "method_not_allowed");
        Answer ollama = await server.Get("/api/nothing", key);
        Assert.Equal(404, ollama.Status);
        Assert.Equal(System.Text.Json.JsonValueKind.String, ollama.Error.ValueKind);
    }

    [Fact]
    public async Task Options_that_no_server_can_run_with_are_refused_all_at_once()
    {
        InputException refused = await Assert.ThrowsAsync<InputException>(() => LowRankServer.StartAsync(
            new ServerOptions(models.Encoder)
            {
                Port = 70000, Host = "example.org", ApiKeys = ["a b"], CorsOrigins = ["page.example"],
                AllowAdapterLoading = true, Adapters = [new("a", "x"), new("a", "y"), new("b c", "z")],
                Limits = new RequestLimits { Texts = 0 },
            }));
        Assert.Equal(8, refused.Problems.Count);
    }

    [Fact]
    public async Task A_port_that_is_taken_is_said()
    {
        InputException refused = await Assert.ThrowsAsync<InputException>(() => LowRankServer.StartAsync(
            new ServerOptions(models.Encoder) { Port = server.Http.BaseAddress!.Port }));
        Assert.Contains("cannot listen on 127.0.0.1", refused.Message, StringComparison.Ordinal);
    }
}
