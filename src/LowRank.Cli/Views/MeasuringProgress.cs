using LowRank.Cli.Common;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Views;

/// <summary>Shows the progress of a measurement: rows done, their rate and the time left.</summary>
/// <param name="show">Shows it; throws if the terminal or pipe is gone.</param>
/// <param name="interval">How often.</param>
/// <param name="isLast">Whether the end is shown too, however soon it comes.</param>
/// <param name="time">Decides when it is shown.</param>
internal sealed class MeasuringProgress(
    Action<MeasuringProgress> show, TimeSpan interval, bool isLast, TimeProvider time) : IProgress<(int Done, int Rows)>
{
    private static readonly TimeSpan LiveInterval = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(5);
    private readonly long started = time.GetTimestamp();
    private TimeSpan shown;
    private bool isGone;

    /// <summary>Rows done, and all rows.</summary>
    public (int Done, int Rows) State { get; private set; }

    /// <summary>"85 rows/s   0:04 left"</summary>
    public string Pace
    {
        get
        {
            TimeSpan elapsed = time.GetElapsedTime(started);
            double rate = State.Done / Math.Max(0.001, elapsed.TotalSeconds);
            return $"{rate:f0} rows/s   {Durations.Show(Durations.Left(elapsed, State.Done, State.Rows))} left";
        }
    }

    /// <summary>The rows as a line: "120/500 rows   85 rows/s   0:04 left".</summary>
    public string Line => $"{State.Done}/{State.Rows} rows   {Pace}";

    /// <summary>The rows as a bar.</summary>
    public IRenderable Picture => new Rows(ProgressBar.Of(State.Done, State.Rows, "rows"), new Text(Pace));

    /// <inheritdoc/>
    public void Report((int Done, int Rows) value)
    {
        State = value;
        TimeSpan elapsed = time.GetElapsedTime(started);
        if (isGone || (elapsed - shown < interval && !(isLast && value.Done == value.Rows))) return;
        shown = elapsed;
        try
        {
            show(this);
        }
        catch (IOException e)
        {
            isGone = true; // the measurement goes on
            System.Diagnostics.Trace.TraceWarning(e.Message);
        }
    }

    /// <summary>Measures with progress: a bar in a terminal, elsewhere a line every few seconds.</summary>
    /// <param name="measure">Measures and reports.</param>
    public static T Follow<T>(Func<IProgress<(int Done, int Rows)>, T> measure)
    {
        if (Screen.IsLive)
            return Screen.Live(draw => measure(
                new MeasuringProgress(p => draw(p.Picture), LiveInterval, isLast: true, TimeProvider.System)));
        return measure(Lines(Console.Out, TimeProvider.System));
    }

    /// <summary>Progress as plain lines, for logs and pipes; a short measurement writes none.</summary>
    public static MeasuringProgress Lines(TextWriter output, TimeProvider time) => new(
        progress =>
        {
            output.WriteLine(progress.Line);
            output.Flush();
        }, LineInterval, isLast: false, time);
}
