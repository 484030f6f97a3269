using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using LowRank.Server.Requests;
using LowRank.Server.Responses;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace LowRank.Server.Routes;

/// <summary>An answer that is sent while it is made: server-sent events, or a line of JSON each.</summary>
/// <remarks>The status is sent with the first event: what fails before is answered with a status of its own.</remarks>
internal sealed class EventStream(Call call, bool asLines = false)
{
    private static readonly byte[] Data = "data: "u8.ToArray(), Gap = "\n\n"u8.ToArray(), Line = "\n"u8.ToArray();

    private readonly HttpResponse response = call.Http.Response;

    /// <summary>Whether anything was sent.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>Sends an event.</summary>
    /// <param name="value">What it says.</param>
    /// <param name="type">How that becomes JSON.</param>
    /// <param name="name">Its name; null for none.</param>
    public async Task Send<T>(T value, JsonTypeInfo<T> type, string? name = null)
    {
        Begin();
        if (name is not null) await Write(Encoding.UTF8.GetBytes($"event: {name}\n")).ConfigureAwait(false);
        if (!asLines) await Write(Data).ConfigureAwait(false);
        await Write(JsonSerializer.SerializeToUtf8Bytes(value, type)).ConfigureAwait(false);
        await Write(asLines ? Line : Gap).ConfigureAwait(false);
        await response.Body.FlushAsync(call.Left).ConfigureAwait(false);
    }

    /// <summary>Ends a stream of OpenAI's completions.</summary>
    public async Task End()
    {
        Begin();
        await Write("data: [DONE]\n\n"u8.ToArray()).ConfigureAwait(false);
        await response.Body.FlushAsync(call.Left).ConfigureAwait(false);
    }

    /// <summary>Streams an answer; says what went wrong after it has begun as its last event.</summary>
    /// <param name="answer">Sends the events.</param>
    public async Task Run(Func<Task> answer)
    {
        try
        {
            await answer().ConfigureAwait(false);
        }
        catch (Exception failure) when (Survives)
        {
            ApiException error = Log(failure);
            if (asLines)
            {
                await Send(new OllamaError(error.Message), ServerJson.Own.OllamaError).ConfigureAwait(false);
                return;
            }
            await Send(Api.Body(error), ServerJson.Own.ErrorAnswer, "error").ConfigureAwait(false);
            await End().ConfigureAwait(false);
        }
    }

    /// <summary>Whether a failure can still be told: the stream has begun, and its reader is there.</summary>
    public bool Survives => HasBegun && !call.Left.IsCancellationRequested;

    /// <summary>Logs a failure that the stream tells as its last event.</summary>
    /// <returns>What the client is told.</returns>
    public ApiException Log(Exception failure)
    {
        if (ApiException.IsFault(failure))
            call.Options.Logger.Failed(failure, call.Http.TraceIdentifier, "stream", call.Http.Request.Path);
        return ApiException.From(failure);
    }

    private void Begin()
    {
        if (HasBegun) return;
        HasBegun = true;
        response.ContentType = asLines ? "application/x-ndjson" : "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        response.Headers["X-Accel-Buffering"] = "no"; // a proxy would hold the events back
    }

    private Task Write(byte[] bytes) => response.Body.WriteAsync(bytes, call.Left).AsTask();
}
