using System.Diagnostics;
using System.Text.Json;
using LowRank.Server.Observability;
using LowRank.Server.Requests;
using LowRank.Server.Responses;
using LowRank.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace LowRank.Server.Routes;

/// <summary>Registers routes: reads a request's body, lets the route answer, and answers with an error where that
/// fails.</summary>
internal sealed class Api(ModelHost host, ServerOptions options, ServerMeter meter)
{
    private const int ClientLeft = 499; // as proxies log it; nobody gets it

    private static readonly JsonElement NoFields = JsonDocument.Parse("{}").RootElement.Clone();

    private int bodies; // of requests under way

    // More than can wait and be worked on together would only fill the memory with bodies.
    private int MostBodies => options.Serving.MaxQueuedRequests + 2 * options.Serving.MaxBatch + 32;

    /// <summary>Adds a route that has a JSON body.</summary>
    public void Post(IEndpointRouteBuilder routes, string path, Func<Call, Task> answer)
    {
        async Task<Call> Read(HttpContext http)
        {
            ServedModel served = host.Require();
            JsonElement body = await RequestBody.ReadAsync(http.Request, options.Limits.BodyBytes, http.RequestAborted)
                .ConfigureAwait(false);
            return new Call(http, served, options, meter, new RequestFields(body));
        }
        async Task Reply(HttpContext http)
        {
            int others = Interlocked.Increment(ref bodies);
            try
            {
                await Run(http, path, others <= MostBodies ? Read : Refuse, answer).ConfigureAwait(false);
            }
            finally
            {
                Interlocked.Decrement(ref bodies);
            }
        }
        routes.MapPost(path, Reply);
    }

    /// <summary>Adds a route without a body.</summary>
    public void Get(IEndpointRouteBuilder routes, string path, Func<Call, Task> answer)
    {
        Task<Call> Read(HttpContext http) =>
            Task.FromResult(new Call(http, host.Require(), options, meter, new RequestFields(NoFields)));
        Task Reply(HttpContext http) => Run(http, path, Read, answer);
        routes.MapGet(path, Reply);
    }

    /// <summary>Answers a failure, in the form of the route's family, where the answer has not begun.</summary>
    public Task Fail(HttpContext http, Exception failure)
    {
        ApiException error = ApiException.From(failure);
        string route = http.Request.Path.Value ?? "";
        if (ApiException.IsFault(failure))
            options.Logger.Failed(failure, http.TraceIdentifier, http.Request.Method, route);
        else
            options.Logger.Refused(http.TraceIdentifier, http.Request.Method, route, error.Status, error.Code);
        if (http.Response.HasStarted) return Task.CompletedTask;
        http.Response.StatusCode = error.Status;
        http.Response.ContentType = "application/json; charset=utf-8";
        if (error.RetryAfter is { } seconds) http.Response.Headers.RetryAfter = $"{seconds}";
        if (error.Status == StatusCodes.Status401Unauthorized) http.Response.Headers.WWWAuthenticate = "Bearer";
        bool isOllama = route.StartsWith("/api/", StringComparison.OrdinalIgnoreCase);
        return isOllama
            ? JsonSerializer.SerializeAsync(
                http.Response.Body, new OllamaError(error.Message), ServerJson.Own.OllamaError, http.RequestAborted)
            : JsonSerializer.SerializeAsync(
                http.Response.Body, Body(error), ServerJson.Own.ErrorAnswer, http.RequestAborted);
    }

    /// <summary>An error as a client sees it.</summary>
    public static ErrorAnswer Body(ApiException error) =>
        new(new ErrorBody(error.Message, error.Type, error.Param, error.Code));

    private static Task<Call> Refuse(HttpContext http) => throw new ServingException(
        ServingRefusal.Busy, "As many requests are under way as may be. Ask again in a moment.");

    private async Task Run(
        HttpContext http, string path, Func<HttpContext, Task<Call>> read, Func<Call, Task> answer)
    {
        long started = Stopwatch.GetTimestamp();
        Call? call = null;
        try
        {
            call = await read(http).ConfigureAwait(false);
            await answer(call).ConfigureAwait(false);
        }
        catch (Exception) when (http.RequestAborted.IsCancellationRequested)
        {
            if (!http.Response.HasStarted) http.Response.StatusCode = ClientLeft;
            options.Logger.Left(http.TraceIdentifier, path);
            meter.Answered(path, ClientLeft);
            return;
        }
        catch (Exception failure)
        {
            await Fail(http, failure).ConfigureAwait(false);
        }
        meter.Answered(path, http.Response.StatusCode);
        (string model, long prompt, long written) = call?.Took ?? ("", 0, 0);
        options.Logger.Answered(http.TraceIdentifier, http.Request.Method, path, http.Response.StatusCode,
            Math.Round(Stopwatch.GetElapsedTime(started).TotalMilliseconds, 1), model, prompt, written);
    }
}
