using System.Diagnostics;

namespace LowRank.Testing;

/// <summary>A turn on the machine: beside others, or alone. Test projects run at the same time, in processes of their
/// own; what measures speed waits until the tests that run have ended, and the next ones wait until it has
/// measured.</summary>
/// <remarks>Two locked files in the temporary folder, whose locks the system takes back when their process ends,
/// however it ends. A turn alone first takes the gate, through which every turn goes, so that it does not wait for ever
/// on tests that follow each other. Whoever has waited for <see cref="Patience"/> goes on and says so, so that a test
/// that hangs does not stop all others.</remarks>
public sealed class MachineLock : IDisposable
{
    private readonly FileStream?[] held;

    private MachineLock(string? disturbance, params FileStream?[] held) =>
        (Disturbance, this.held) = (disturbance, held);

    /// <summary>The longest wait for each of the two files.</summary>
    public static TimeSpan Patience { get; } = TimeSpan.FromMinutes(5);

    /// <summary>Who may be at work too, since the wait was too long; null where it was not.</summary>
    public string? Disturbance { get; }

    /// <summary>Waits until nobody is alone on the machine.</summary>
    /// <param name="name">Turns of one name wait for each other.</param>
    /// <param name="patience">The longest wait; null for <see cref="Patience"/>.</param>
    public static MachineLock Beside(string name = "tests", TimeSpan? patience = null)
    {
        (string gate, string tests) = Files(name);
        TimeSpan wait = patience ?? Patience;
        using FileStream? passed = Take(gate, FileShare.Read, wait);
        FileStream? held = Take(tests, FileShare.Read, wait);
        return new MachineLock(passed is null || held is null
            ? $"Another process measures speed, or waits to do so, for more than {wait} (it holds {gate} or " +
            $"{tests}). The test runs beside it." : null, held);
    }

    /// <summary>Waits until nobody else is on the machine, and keeps others out.</summary>
    /// <param name="name">Turns of one name wait for each other.</param>
    /// <param name="patience">The longest wait; null for <see cref="Patience"/>.</param>
    public static MachineLock Alone(string name = "tests", TimeSpan? patience = null)
    {
        (string gate, string tests) = Files(name);
        TimeSpan wait = patience ?? Patience;
        FileStream? first = Take(gate, FileShare.None, wait), second = Take(tests, FileShare.None, wait);
        string? disturbance = first is null ? $"Another process measures speed for more than {wait} (it holds {gate})."
            : second is null ? $"A test in another process runs for more than {wait} (it holds {tests})." : null;
        if (disturbance is null) return new MachineLock(null, first, second);
        first?.Dispose(); // others need not wait for what is not measured
        second?.Dispose();
        return new MachineLock($"{disturbance} Speed is not measured beside it.");
    }

    /// <summary>The files of a name.</summary>
    public static (string Gate, string Tests) Files(string name)
    {
        string start = Path.Combine(Path.GetTempPath(), $"lowrank-{Environment.UserName}-{name}");
        return (start + "-gate.lock", start + ".lock");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (FileStream? file in held) file?.Dispose();
    }

    private static FileStream? Take(string path, FileShare share, TimeSpan patience)
    {
        // Once at least: a process that the system lets wait long between two lines has not asked yet.
        for (long started = Stopwatch.GetTimestamp(); ; Thread.Sleep(20))
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.Read, share);
            }
            catch (IOException) when (File.Exists(path))
            {
                // somebody else holds it
            }
            if (Stopwatch.GetElapsedTime(started) >= patience) return null;
        }
    }
}
