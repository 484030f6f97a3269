using Microsoft.Extensions.Logging;

namespace LowRank.Server;

/// <summary>What a server tells its logger; the numbers of events do not change. No part of a prompt, an answer or a
/// key is in any but <see cref="Prompt"/>.</summary>
internal static partial class ServerLog
{
    [LoggerMessage(100, LogLevel.Information, "Listening on {Address}")]
    public static partial void Listening(this ILogger logger, string address);

    [LoggerMessage(101, LogLevel.Information, "Ready after {Seconds} s: {Model}, {Adapters} adapters")]
    public static partial void Ready(this ILogger logger, double seconds, string model, int adapters);

    [LoggerMessage(102, LogLevel.Information,
        "{RequestId} {Method} {Route} {Status} in {Milliseconds} ms: {Model}, {PromptTokens} + {NewTokens} tokens")]
    public static partial void Answered(this ILogger logger, string requestId, string method, string route, int status,
        double milliseconds, string model, long promptTokens, long newTokens);

    [LoggerMessage(103, LogLevel.Warning, "{RequestId} {Method} {Route} was refused ({Status}, {Code})")]
    public static partial void Refused(
        this ILogger logger, string requestId, string method, string route, int status, string? code);

    [LoggerMessage(104, LogLevel.Error, "{RequestId} {Method} {Route} failed")]
    public static partial void Failed(
        this ILogger logger, Exception failure, string requestId, string method, string route);

    [LoggerMessage(105, LogLevel.Information, "{RequestId} {Route} was left by its client")]
    public static partial void Left(this ILogger logger, string requestId, string route);

    [LoggerMessage(106, LogLevel.Information, "Adapter {Name} loaded from {Folder}")]
    public static partial void AdapterLoaded(this ILogger logger, string name, string folder);

    [LoggerMessage(107, LogLevel.Information, "Adapter {Name} unloaded")]
    public static partial void AdapterUnloaded(this ILogger logger, string name);

    [LoggerMessage(108, LogLevel.Information, "Stopping: no more requests are taken, those under way are finished")]
    public static partial void Stopping(this ILogger logger);

    [LoggerMessage(109, LogLevel.Warning, "{Warning}")]
    public static partial void Warned(this ILogger logger, string warning);

    [LoggerMessage(110, LogLevel.Debug, "{RequestId} prompt: {Prompt}")]
    public static partial void Prompt(this ILogger logger, string requestId, string prompt);
}
