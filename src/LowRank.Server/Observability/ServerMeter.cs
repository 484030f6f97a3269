using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace LowRank.Server.Observability;

/// <summary>The measurements of a server, for any listener of <see cref="Meter"/>s: requests, and texts by
/// OpenTelemetry's names for generative models. The engine has its own.</summary>
internal sealed class ServerMeter : IDisposable
{
    /// <summary>The name to listen to.</summary>
    public const string Name = "LowRank.Server";

    private readonly Meter meter;
    private readonly Counter<long> requests;
    private readonly Histogram<double> duration, first, each;

    /// <summary>Creates the meter of a server.</summary>
    public ServerMeter(object server)
    {
        meter = new Meter(new MeterOptions(Name) { Scope = server });
        requests = meter.CreateCounter<long>("lowrank.http.requests", "{request}", "Requests, by route and status");
        duration = meter.CreateHistogram<double>("gen_ai.server.request.duration", "s", "From request to last token");
        first = meter.CreateHistogram<double>(
            "gen_ai.server.time_to_first_token", "s", "From request to first piece of text");
        each = meter.CreateHistogram<double>(
            "gen_ai.server.time_per_output_token", "s", "Mean time of a token after the first");
    }

    /// <summary>Counts a request.</summary>
    public void Answered(string route, int status) => requests.Add(
        1, new KeyValuePair<string, object?>("route", route), new KeyValuePair<string, object?>("status", status));

    /// <summary>Records a request for texts.</summary>
    /// <param name="operation">chat or text_completion.</param>
    /// <param name="model">The model that was asked for.</param>
    /// <param name="started">When it came.</param>
    /// <param name="began">When the first piece of text came; 0 if none did.</param>
    /// <param name="tokens">Tokens that were written.</param>
    public void Wrote(string operation, string model, long started, long began, int tokens)
    {
        TagList tags = new()
        {
            { "gen_ai.operation.name", operation }, { "gen_ai.provider.name", "lowrank" },
            { "gen_ai.request.model", model },
        };
        long now = Stopwatch.GetTimestamp();
        duration.Record(Stopwatch.GetElapsedTime(started, now).TotalSeconds, tags);
        if (began == 0) return;
        first.Record(Stopwatch.GetElapsedTime(started, began).TotalSeconds, tags);
        if (tokens > 1) each.Record(Stopwatch.GetElapsedTime(began, now).TotalSeconds / (tokens - 1), tags);
    }

    /// <inheritdoc/>
    public void Dispose() => meter.Dispose();
}
