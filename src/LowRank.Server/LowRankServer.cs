using System.Globalization;
using LowRank.Server.Observability;
using LowRank.Server.Requests;
using LowRank.Server.Routes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace LowRank.Server;

/// <summary>Serves a model and its adapters over HTTP: OpenAI's routes for texts, vectors and models, Ollama's, and
/// those for health and metrics (docs/serving.md).</summary>
/// <remarks>It listens at once and loads the model meanwhile; until then requests get 503. Nothing that a request names
/// is fetched, and no environment variable or settings file changes what it does.</remarks>
/// <example><code>
/// await using LowRankServer server = await LowRankServer.StartAsync(new ServerOptions("models/base")
///     { Adapters = [new NamedAdapter("hotels", "runs/hotels/adapter")] });
/// await server.Loading;
/// Console.WriteLine(server.Address);
/// </code></example>
public sealed class LowRankServer : IAsyncDisposable
{
    private const int LineBytes = 8 << 10, MostConnections = 4096;

    private readonly ServerOptions options;
    private readonly ModelHost host;
    private readonly ServerMeter meter;
    private readonly MetricsPage metrics;
    private readonly WebApplication app;
    private int isStopping, underWay;

    private LowRankServer(ServerOptions options)
    {
        this.options = options;
        meter = new ServerMeter(this);
        host = new ModelHost(options);
        metrics = new MetricsPage(host, this);
        app = Build();
    }

    /// <summary>Where it listens.</summary>
    public Uri Address { get; private set; } = null!;

    /// <summary>The model, for tests of what goes wrong with it.</summary>
    internal ModelHost Host => host;

    /// <summary>Ends when the model is loaded and requests are taken.</summary>
    /// <exception cref="InputException">The model or an adapter cannot be used.</exception>
    public Task Loading => host.Loading;

    /// <summary>Begins to listen, and to load the model.</summary>
    /// <param name="options">What is served, and where.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="InputException">The options cannot be used, all problems at once; or the address is in
    /// use.</exception>
    public static async Task<LowRankServer> StartAsync(
        ServerOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        var server = new LowRankServer(options);
        try
        {
            await server.app.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (IOException taken)
        {
            await server.DisposeAsync().ConfigureAwait(false);
            throw new InputException(string.Create(CultureInfo.InvariantCulture,
                $"The server cannot listen on {options.Host}, port {options.Port}: {taken.Message} Choose another " +
                $"port, or 0 for one that is free."), taken);
        }
        server.Address = server.Listening();
        if (!ListenAddress.TryParse(options.Host)!.IsLoopback && options.ApiKeys.Count == 0)
            options.Logger.Warned("Other machines reach the server, and no key is asked for.");
        options.Logger.Listening(server.Address.ToString());
        return server;
    }

    /// <summary>Takes no more requests, finishes those under way within <see cref="ServerOptions.DrainTime"/>, and
    /// stops listening.</summary>
    /// <param name="cancellationToken">Ends what is still under way.</param>
    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        if (Interlocked.Exchange(ref isStopping, 1) != 0) return;
        options.Logger.Stopping();
        host.Close();
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(options.DrainTime);
        await Drained(patience.Token).ConfigureAwait(false);
        await app.StopAsync(patience.Token).ConfigureAwait(false);
    }

    /// <summary>Ends what is under way, and closes the model.</summary>
    public async ValueTask DisposeAsync()
    {
        host.Close();
        Interlocked.Exchange(ref isStopping, 1);
        await app.StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        await app.DisposeAsync().ConfigureAwait(false);
        await host.DisposeAsync().ConfigureAwait(false);
        metrics.Dispose();
        meter.Dispose();
    }

    // New requests still get their answer, 503, until those under way are finished.
    private async Task Drained(CancellationToken cancellation)
    {
        while (Volatile.Read(ref underWay) > 0 && !cancellation.IsCancellationRequested)
            await Task.Delay(20, CancellationToken.None).ConfigureAwait(false);
    }

    private Uri Listening()
    {
        string address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!
            .Addresses.First();
        return new Uri(address.Replace("[::]", "localhost", StringComparison.Ordinal)
            .Replace("0.0.0.0", "localhost", StringComparison.Ordinal));
    }

    private WebApplication Build()
    {
        // Without settings files and environment variables: what is served is what the options say.
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(Limit);
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton(new ServerLoggers(options.Logger).AsFactory());
        WebApplication built = builder.Build();
        var api = new Api(host, options, meter);
        var guard = new RequestGuard(options);
        built.Use((http, next) => Guarded(http, next, guard, api));
        built.UseRouting();
        built.UseStatusCodePages(context => api.Fail(context.HttpContext, Nowhere(context.HttpContext)));
        HealthRoutes.Map(built, host, metrics);
        ModelRoutes.Map(built, api, new AdapterFolders(options.AdapterRoot));
        ChatRoutes.Map(built, api);
        CompletionRoutes.Map(built, api);
        EmbeddingRoutes.Map(built, api);
        LabelRoutes.Map(built, api);
        TokenRoutes.Map(built, api);
        ResponseRoutes.Map(built, api);
        OllamaRoutes.Map(built, api);
        return built;
    }

    private async Task Guarded(HttpContext http, RequestDelegate next, RequestGuard guard, Api api)
    {
        Interlocked.Increment(ref underWay);
        try
        {
            if (guard.Answers(http)) return;
            await next(http).ConfigureAwait(false);
        }
        catch (ApiException refused)
        {
            await api.Fail(http, refused).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref underWay);
        }
    }

    private void Limit(KestrelServerOptions kestrel)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = options.Limits.BodyBytes;
        kestrel.Limits.MaxRequestHeadersTotalSize = options.Limits.HeaderBytes;
        kestrel.Limits.MaxRequestLineSize = LineBytes;
        kestrel.Limits.MaxRequestBufferSize = Math.Max(kestrel.Limits.MaxRequestBufferSize ?? 0, LineBytes);
        kestrel.Limits.MaxConcurrentConnections = MostConnections;
        ListenAddress address = ListenAddress.TryParse(options.Host)!;
        if (address.Addresses.Count == 0) kestrel.ListenAnyIP(options.Port);
        else foreach (System.Net.IPAddress one in address.Addresses) kestrel.Listen(one, options.Port);
    }

    private static ApiException Nowhere(HttpContext http) => http.Response.StatusCode switch
    {
        StatusCodes.Status404NotFound => ApiException.NotFound(
            $"There is nothing at {RequestFields.Shortened(http.Request.Path.Value ?? "")}.", null, "unknown_url"),
        StatusCodes.Status405MethodNotAllowed => new ApiException(StatusCodes.Status405MethodNotAllowed,
            ApiException.InvalidRequest, $"{http.Request.Method} is not a method of " +
            $"{RequestFields.Shortened(http.Request.Path.Value ?? "")}.", null, "method_not_allowed"),
        int other => new ApiException(other, ApiException.InvalidRequest, "The request was refused."),
    };
}
