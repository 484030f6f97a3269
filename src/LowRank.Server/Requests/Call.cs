using System.Text.Json.Serialization.Metadata;
using LowRank.Server.Observability;
using LowRank.Server.Responses;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace LowRank.Server.Requests;

/// <summary>A request with what it needs to be answered.</summary>
/// <param name="http">The request.</param>
/// <param name="served">The model.</param>
/// <param name="options">The server's options.</param>
/// <param name="meter">The server's measurements.</param>
/// <param name="fields">Its body's fields; without any for requests that have no body.</param>
internal sealed class Call(
    HttpContext http, ServedModel served, ServerOptions options, ServerMeter meter, RequestFields fields)
{
    public HttpContext Http => http;

    public ServedModel Served => served;

    public ServerOptions Options => options;

    public ServerMeter Meter => meter;

    public RequestLimits Limits => options.Limits;

    public RequestFields Fields => fields;

    /// <summary>Cancelled when the client has left.</summary>
    public CancellationToken Left => http.RequestAborted;

    /// <summary>When the request came.</summary>
    public long Created { get; } = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <summary>For the log: the model that was asked for, and the tokens that the request took.</summary>
    public (string Model, long Prompt, long Written) Took { get; set; } = (served.Name, 0, 0);

    /// <summary>A name for an answer that no other one has.</summary>
    public static string NewId(string prefix) => prefix + Guid.NewGuid().ToString("N")[..24];

    /// <summary>Answers.</summary>
    public async Task Answer<T>(T value, JsonTypeInfo<T> type)
    {
        http.Response.ContentType = "application/json; charset=utf-8";
        await System.Text.Json.JsonSerializer.SerializeAsync(http.Response.Body, value, type, Left)
            .ConfigureAwait(false);
    }

    /// <summary>Logs a prompt, if prompts are.</summary>
    public void LogPrompt(string prompt)
    {
        if (options.LogPrompts) options.Logger.Prompt(http.TraceIdentifier, prompt);
    }

    /// <summary>Logs a conversation, if prompts are.</summary>
    public void LogPrompt(System.Text.Json.Nodes.JsonNode messages)
    {
        if (options.LogPrompts) LogPrompt(messages.ToJsonString(ServerJson.Own.Options));
    }
}
