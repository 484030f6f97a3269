using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace LowRank.Serving;

/// <summary>The measurements of an engine, for any listener of <see cref="Meter"/>s, such as OpenTelemetry.</summary>
internal sealed class ServingMetrics : IDisposable
{
    private readonly Meter meter;
    private readonly Histogram<double> timeToFirstToken, interToken, whole, queued, reading, writing;
    private readonly Counter<long> finished, prompts, tokens;

    public ServingMetrics(Func<ServingStatistics> statistics, object engine)
    {
        meter = new Meter(new MeterOptions(ServingEngine.MeterName) { Scope = engine });
        Histogram<double> Seconds(string name, string what) => meter.CreateHistogram<double>(name, "s", what);
        timeToFirstToken = Seconds("lowrank.time_to_first_token", "From the request to its first token");
        interToken = Seconds("lowrank.inter_token_latency", "Between two tokens of a text");
        whole = Seconds("lowrank.request.duration", "From the request to the end of its last text");
        queued = Seconds("lowrank.request.queue_duration", "From the request until it is worked on");
        reading = Seconds("lowrank.request.prefill_duration", "Reading the prompt");
        writing = Seconds("lowrank.request.decode_duration", "From the first token to the last");
        finished = meter.CreateCounter<long>("lowrank.texts", "{text}", "Texts that were finished, by how they ended");
        prompts = meter.CreateCounter<long>("lowrank.prompt_tokens", "{token}", "Tokens of prompts that were read");
        tokens = meter.CreateCounter<long>("lowrank.generated_tokens", "{token}", "Tokens that were written");
        meter.CreateObservableGauge("lowrank.texts.running", () => statistics().Running, "{text}", "Texts under way");
        meter.CreateObservableGauge("lowrank.texts.waiting", () => statistics().Waiting, "{text}", "Texts that wait");
        meter.CreateObservableGauge("lowrank.cache.usage", () => statistics().CacheUsage, "1",
            "Share of the memory for keys and values that texts under way hold");
        meter.CreateObservableCounter("lowrank.prefix_cache.queries", () => statistics().CacheQueries, "{token}",
            "Tokens of prompts");
        meter.CreateObservableCounter("lowrank.prefix_cache.hits", () => statistics().CacheHits, "{token}",
            "Tokens of prompts that were known from earlier requests");
        meter.CreateObservableGauge("lowrank.adapters.loaded", () => statistics().LoadedAdapters, "{adapter}",
            "Adapters in memory");
        meter.CreateObservableCounter("lowrank.adapters.loads", () => statistics().AdapterLoads, "{adapter}",
            "Adapters that were read into memory");
    }

    public void Admitted(ServingText text)
    {
        text.Admitted = Stopwatch.GetTimestamp();
        ServingWork work = text.Work;
        if (work.Admitted != 0) return;
        work.Admitted = text.Admitted;
        queued.Record(Seconds(work.Arrived, work.Admitted));
    }

    public void Read(int count) => prompts.Add(count);

    public void Wrote(ServingText text)
    {
        long now = Stopwatch.GetTimestamp();
        ServingWork work = text.Work;
        tokens.Add(1);
        if (text.LastToken != 0) interToken.Record(Seconds(text.LastToken, now));
        if (work.FirstToken == 0)
        {
            work.FirstToken = now;
            reading.Record(Seconds(work.Admitted, now));
            timeToFirstToken.Record(Seconds(work.Arrived, now));
        }
        if (text.FirstToken == 0) text.FirstToken = now;
        text.LastToken = now;
        work.Output.Times = new ServingTimes(Stopwatch.GetElapsedTime(work.Arrived, work.Admitted),
            Stopwatch.GetElapsedTime(work.Admitted, work.FirstToken), Stopwatch.GetElapsedTime(work.FirstToken, now));
    }

    public void Ended(ServingText text, string how)
    {
        finished.Add(1, new KeyValuePair<string, object?>("reason", how));
        if (text.FirstToken != 0) writing.Record(Seconds(text.FirstToken, text.LastToken));
        if (text.Work.Open == 0) whole.Record(Seconds(text.Work.Arrived, Stopwatch.GetTimestamp()));
    }

    public void Dispose() => meter.Dispose();

    private static double Seconds(long from, long to) => Stopwatch.GetElapsedTime(from, to).TotalSeconds;
}
