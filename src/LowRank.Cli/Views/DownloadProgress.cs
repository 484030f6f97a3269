using System.Diagnostics;
using LowRank.Cli.Common;
using LowRank.Hub;

namespace LowRank.Cli.Views;

/// <summary>Shows a download or an upload on standard error: in a terminal as one updated line, otherwise as a line
/// every few seconds.</summary>
internal sealed class DownloadProgress : IHubProgress
{
    private static readonly TimeSpan LiveInterval = TimeSpan.FromSeconds(0.2), PlainInterval = TimeSpan.FromSeconds(10);
    private readonly bool isLive = !Console.IsErrorRedirected;
    private readonly TextWriter output = Console.Error;
    private readonly Stopwatch watch = new();
    private TimeSpan shown;
    private long total, done;
    private string name = "";

    public void Note(string message)
    {
        Clear();
        output.WriteLine("note: " + message);
    }

    public void Started(HubRepository repository, int files, long bytes)
    {
        (name, total, done) = (repository.ToString(), bytes, 0);
        output.WriteLine($"{name}: {files} file{(files == 1 ? "" : "s")}, {Size(bytes)}");
        watch.Restart();
        shown = TimeSpan.Zero;
    }

    public void Received(string file, long bytes)
    {
        done += bytes;
        if (watch.Elapsed - shown < (isLive ? LiveInterval : PlainInterval)) return;
        shown = watch.Elapsed;
        double rate = done / Math.Max(0.001, watch.Elapsed.TotalSeconds);
        string line =
            $"{name}: {100.0 * done / Math.Max(1, total):0} % of {Size(total)}, {Size((long)rate)}/s, " +
            $"{Durations.Show(TimeSpan.FromSeconds((total - done) / Math.Max(1, rate)))} left   {file}";
        Clear();
        if (isLive) output.Write(line);
        else output.WriteLine(line);
    }

    public void Finished()
    {
        Clear();
        output.WriteLine($"{name}: done, {Size(done)} in {Durations.Show(watch.Elapsed)}");
    }

    private void Clear()
    {
        if (isLive) Screen.EraseErrorLine();
    }

    private static string Size(long bytes) => bytes >= 1_000_000_000 ? $"{bytes / 1e9:0.00} GB" : bytes >= 1_000_000
        ? $"{bytes / 1e6:0.0} MB" : $"{bytes / 1e3:0.0} kB";
}
