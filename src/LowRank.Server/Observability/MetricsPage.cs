using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;
using LowRank.Serving;

namespace LowRank.Server.Observability;

/// <summary>/metrics: what the engine and the server measure, in Prometheus' text form: by own names, and by those that
/// dashboards for vLLM know.</summary>
internal sealed class MetricsPage : IDisposable
{
    /// <summary>The media type of the form.</summary>
    public const string MediaType = "text/plain; version=0.0.4; charset=utf-8";

    // Of the engine's and the server's instruments: the name, and vLLM's.
    private static readonly Dictionary<string, (string Own, string? Known)> Names = new(StringComparer.Ordinal)
    {
        ["lowrank.time_to_first_token"] =
            ("lowrank_time_to_first_token_seconds", "vllm:time_to_first_token_seconds"),
        ["lowrank.inter_token_latency"] =
            ("lowrank_inter_token_latency_seconds", "vllm:inter_token_latency_seconds"),
        ["lowrank.request.duration"] =
            ("lowrank_e2e_request_latency_seconds", "vllm:e2e_request_latency_seconds"),
        ["lowrank.request.queue_duration"] =
            ("lowrank_request_queue_time_seconds", "vllm:request_queue_time_seconds"),
        ["lowrank.request.prefill_duration"] =
            ("lowrank_request_prefill_time_seconds", "vllm:request_prefill_time_seconds"),
        ["lowrank.request.decode_duration"] =
            ("lowrank_request_decode_time_seconds", "vllm:request_decode_time_seconds"),
        ["lowrank.texts"] = ("lowrank_request_success_total", "vllm:request_success_total"),
        ["lowrank.http.requests"] = ("lowrank_http_requests_total", null),
    };

    private static readonly double[] Buckets =
    [
        0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160,
        320, 640,
    ];

    private readonly ModelHost host;
    private readonly MeterListener listener = new();
    private readonly Lock guard = new();
    private readonly SortedDictionary<(string Name, string Labels), Series> all = [];

    /// <summary>Begins to listen.</summary>
    public MetricsPage(ModelHost host, object server)
    {
        this.host = host;
        listener.InstrumentPublished = (instrument, listening) =>
        {
            bool isOurs = instrument.Meter.Scope == server || instrument.Meter.Name == ServingEngine.MeterName;
            if (isOurs && Names.ContainsKey(instrument.Name)) listening.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Add(instrument, value, tags));
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Add(instrument, value, tags));
        listener.Start();
    }

    /// <summary>The page.</summary>
    public string Write()
    {
        var page = new StringBuilder();
        foreach ((string own, string? known, string kind, string help, double value) in Now())
            foreach (string? name in (string?[])[own, known])
                if (name is not null)
                    page.Append(CultureInfo.InvariantCulture,
                        $"# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{Labels(ModelLabel(), "")} {value}\n");
        lock (guard)
            foreach (IGrouping<string, KeyValuePair<(string Name, string Labels), Series>> one in
                all.GroupBy(series => series.Key.Name))
            {
                (string own, string? known) = Names[one.Key];
                foreach (string? name in (string?[])[own, known])
                    if (name is not null) Write(page, name, [.. one]);
            }
        return page.ToString();
    }

    /// <inheritdoc/>
    public void Dispose() => listener.Dispose();

    // What the engine counts itself.
    private IEnumerable<(string Own, string? Known, string Kind, string Help, double Value)> Now()
    {
        ServedModel? served = host.Served;
        yield return ("lowrank_ready", null, "gauge", "Whether requests are taken.", served is null ? 0 : 1);
        if (served is null) yield break;
        yield return ("lowrank_pooling_requests", null, "gauge",
            "Requests for vectors and labels, waiting or under way.", served.Work.Waiting);
        yield return ("lowrank_adapters", null, "gauge", "Adapters.", served.Adapters.Count);
        if (served.Engine?.Statistics is not { } now) yield break;
        yield return ("lowrank_requests_running", "vllm:num_requests_running", "gauge", "Texts under way.",
            now.Running);
        yield return ("lowrank_requests_waiting", "vllm:num_requests_waiting", "gauge", "Texts that wait.",
            now.Waiting);
        yield return ("lowrank_kv_cache_usage", "vllm:kv_cache_usage_perc", "gauge",
            "Share of the memory for keys and values in use, 0 to 1.", now.CacheUsage);
        yield return ("lowrank_prefix_cache_queries_total", "vllm:prefix_cache_queries_total", "counter",
            "Tokens of prompts.", now.CacheQueries);
        yield return ("lowrank_prefix_cache_hits_total", "vllm:prefix_cache_hits_total", "counter",
            "Tokens of prompts that were known from earlier requests.", now.CacheHits);
        yield return ("lowrank_prompt_tokens_total", "vllm:prompt_tokens_total", "counter",
            "Tokens of prompts that were read.", now.PromptTokens);
        yield return ("lowrank_generation_tokens_total", "vllm:generation_tokens_total", "counter",
            "Tokens that were written.", now.NewTokens);
        yield return ("lowrank_steps_total", null, "counter", "Passes through the model.", now.Steps);
        yield return ("lowrank_adapters_loaded", null, "gauge", "Adapters in memory.", now.LoadedAdapters);
        yield return ("lowrank_adapter_bytes", null, "gauge", "Bytes of the adapters in memory.", now.AdapterBytes);
        yield return ("lowrank_adapter_loads_total", null, "counter", "Adapters that were read into memory.",
            now.AdapterLoads);
    }

    private void Add(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        // The engine's meter is the process's; that of another engine is not shown.
        if (instrument.Meter.Name == ServingEngine.MeterName && instrument.Meter.Scope is { } scope
            && scope != host.Served?.Engine) return;
        var labels = new StringBuilder();
        foreach ((string name, object? tag) in tags)
            labels.Append(labels.Length > 0 ? "," : "").Append(name == "reason" ? "finished_reason" : name)
                .Append(CultureInfo.InvariantCulture, $"=\"{Escaped($"{tag}")}\"");
        lock (guard)
        {
            var key = (instrument.Name, labels.ToString());
            if (!all.TryGetValue(key, out Series? series))
                all[key] = series = new Series(instrument is Histogram<double>, instrument.Description);
            series.Add(value);
        }
    }

    private void Write(StringBuilder page, string name, KeyValuePair<(string Name, string Labels), Series>[] group)
    {
        bool isHistogram = group[0].Value.IsHistogram;
        page.Append(CultureInfo.InvariantCulture, $"# HELP {name} {group[0].Value.Help}\n");
        page.Append(CultureInfo.InvariantCulture, $"# TYPE {name} {(isHistogram ? "histogram" : "counter")}\n");
        foreach (((_, string labels), Series series) in group)
        {
            string all = ModelLabel() + (labels.Length > 0 ? "," : "") + labels;
            if (!isHistogram)
            {
                page.Append(CultureInfo.InvariantCulture, $"{name}{Labels(all, "")} {series.Sum}\n");
                continue;
            }
            long below = 0;
            for (int i = 0; i <= Buckets.Length; i++)
            {
                below += series.Counts[i];
                string least = i < Buckets.Length ? Buckets[i].ToString(CultureInfo.InvariantCulture) : "+Inf";
                page.Append(CultureInfo.InvariantCulture,
                    $"{name}_bucket{Labels(all, $"le=\"{least}\"")} {below}\n");
            }
            page.Append(CultureInfo.InvariantCulture, $"{name}_sum{Labels(all, "")} {series.Sum}\n");
            page.Append(CultureInfo.InvariantCulture, $"{name}_count{Labels(all, "")} {series.Count}\n");
        }
    }

    private string ModelLabel() => host.Served is { } served ? $"model_name=\"{Escaped(served.Name)}\"" : "";

    private static string Labels(string first, string second) => (first.Length, second.Length) switch
    {
        (0, 0) => "", (0, _) => $"{{{second}}}", (_, 0) => $"{{{first}}}", _ => $"{{{first},{second}}}",
    };

    private static string Escaped(string text) => text.Replace("\\", "\\\\", StringComparison.Ordinal)
        .Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);

    /// <summary>The measurements of an instrument with the same labels.</summary>
    private sealed class Series(bool isHistogram, string? help)
    {
        public string Help => help ?? "";

        public bool IsHistogram => isHistogram;

        public double Sum { get; private set; }

        public long Count { get; private set; }

        public long[] Counts { get; } = new long[isHistogram ? Buckets.Length + 1 : 0];

        public void Add(double value)
        {
            (Sum, Count) = (Sum + value, Count + 1);
            if (!isHistogram) return;
            int at = 0;
            while (at < Buckets.Length && value > Buckets[at]) at++;
            Counts[at]++;
        }
    }
}
