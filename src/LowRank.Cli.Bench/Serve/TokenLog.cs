using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace LowRank.Cli.Bench.Serve;

/// <summary>What an engine's own meter says of the texts that it writes: the times are those of the engine's thread,
/// not of a reader that waits for a processor.</summary>
internal sealed class TokenLog : IDisposable
{
    private readonly MeterListener listener = new();
    private readonly Lock guard = new();
    private readonly List<long> firsts = [], ends = [];
    private readonly List<(long At, double Seconds)> next = [];
    private readonly List<double> waits = [], reads = [];

    /// <summary>Listens to one engine.</summary>
    public TokenLog(ServingEngine engine)
    {
        listener.InstrumentPublished = (instrument, own) =>
        {
            if (ReferenceEquals(instrument.Meter.Scope, engine)) own.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => Note(instrument.Name, value));
        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Note(instrument.Name, value));
        listener.Start();
    }

    /// <summary>Seconds from each request to its first token.</summary>
    public IReadOnlyList<double> Waits => waits;

    /// <summary>Seconds that each prompt was read.</summary>
    public IReadOnlyList<double> Reads => reads;

    /// <summary>Seconds between two tokens of a text, of all texts.</summary>
    public IReadOnlyList<double> Between => [.. next.Select(token => token.Seconds)];

    /// <summary>Forgets what was measured.</summary>
    public void Clear()
    {
        lock (guard)
        {
            firsts.Clear();
            ends.Clear();
            next.Clear();
            waits.Clear();
            reads.Clear();
        }
    }

    /// <summary>When the tokens came.</summary>
    /// <param name="texts">Number of texts.</param>
    /// <param name="started">When they were asked for.</param>
    public TokenTimes Times(int texts, long started) => new(texts, started, [.. firsts], [.. next], [.. ends]);

    /// <inheritdoc/>
    public void Dispose() => listener.Dispose();

    private void Note(string name, double value)
    {
        long now = Stopwatch.GetTimestamp();
        lock (guard)
            switch (name)
            {
                case "lowrank.inter_token_latency":
                    next.Add((now, value));
                    break;
                case "lowrank.time_to_first_token":
                    firsts.Add(now);
                    waits.Add(value);
                    break;
                case "lowrank.request.prefill_duration":
                    reads.Add(value);
                    break;
                case "lowrank.texts":
                    ends.Add(now);
                    break;
            }
    }
}
